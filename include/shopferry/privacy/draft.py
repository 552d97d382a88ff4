"""A draft of the data map: a line for each column that has none, with a guess by its name that a person must confirm."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import groupby

from shopferry.route.identifiers import write_name
from shopferry.route.personal import Category, DataMap, Name

_HEAD = """\
# The data map: what each column says of people. The grammar: docs/reference/personal-data.md.
# Each question mark is a guess. Read the line, correct it, and take the question mark out; until then no phase starts.
"""
_LIVED = "keep account; erase null; see care?"
_COMMON = {
    Category.IDENTITY: f"for contract, delivery; basis contract; {_LIVED}",
    Category.CONTACT: f"for contract, delivery; basis contract; {_LIVED}",
    Category.ADDRESS: f"for contract, delivery; basis contract; {_LIVED}",
    Category.CREDENTIAL: "for sign-in; basis contract; keep account; erase delete; see nobody?",
    Category.CONSENT: "for proof of consent; basis legal obligation; keep 3 years after the withdrawal; erase delete; see care?",
    Category.PURCHASE: "for contract, accounts; basis legal obligation; keep 5 years; erase keep: accounts; see care, finance?",
    Category.PAYMENT: "for contract, accounts; basis legal obligation; keep 5 years; erase keep: accounts; see care, finance?",
    Category.LOYALTY: "for loyalty programme; basis contract; keep account; erase delete; see care?",
    Category.FREE_TEXT: f"for contract; basis contract; {_LIVED}",
}
_GOODS = re.compile(r"item|line|product|article|categor|brand|reward|status")  # what has a name there is no person
_BY_NAME = (  # the first that fits the column's name, in five languages
    (r"(^|_)id$|^key$|_key$|uuid|guid", "key"),
    (r"mail", "contact?; pseudonym email"),
    (r"phone|(^|_)tel(efon|_|$)|mobile|(^|_)gsm|(^|_)fax|handy|komork|cellulare", "contact?; pseudonym phone"),
    (r"pass|pwd|hash|salt|secret|token|login|user_?name|haslo|parola", "credential"),
    (r"(^|_)ip(_|$)", "technical?; pseudonym ip"),
    (r"consent|newsletter|agree|granted|withdrawn|opt_?(in|out)|gdpr|rodo|marketing|zgod|acord", "consent"),
    (r"card|iban|bank|konto|payment|(^|_)pay_", "payment"),
    (r"points|loyal|tier|reward|bonus|voucher", "loyalty"),
    (r"zip|post_?code|postal|plz|kod_poczt|cod_postal|(^|_)cap$", "address?; pseudonym postcode"),
    (r"street|city|town|addr|country|house|ulica|miasto|strasse|strada|indirizzo|ort$", "address"),
    (r"pesel|cnp|(^|_)nip$|tax_?(id|no|number)|vat_?(id|no|number)|fiscal|birth|born|gender|sex$", "identity"),
    (r"name|nazw|imie|nume|cognome|company|firma|recipient|author|actor|changed_by|created_by", "identity"),
    (r"note|comment|remark|message|descr|uwagi|bemerkung", "free text"),
    (r"price|total|amount|quantity|qty|sku|currency|vat|order|status|number|cost|discount", "purchase"),
    (r"_at$|date|time|created|updated|deleted|active|flag|^is_|version|state|since", "technical"),
)


def write(data_map: DataMap, unnamed: Collection[Name]) -> str:
    """Write lines for the columns that the map does not name, and for their categories where it has none; with guesses."""
    guesses = {name: guess(name[1], name[2]) for name in unnamed}
    used = {text.partition("?")[0] for text in guesses.values()}
    common = [f"{c} -- {text}" for c, text in _COMMON.items() if c in used and c not in data_map.common]
    blocks = [*([_HEAD] if not data_map.lines else []), *(["\n".join(common) + "\n"] if common else [])]
    blocks += ["\n".join(lines) + "\n" for lines in _write_tables(guesses)]
    return "\n".join(blocks)


def _write_tables(guesses: dict[Name, str]) -> Iterator[list[str]]:
    for _, of_table in groupby(guesses.items(), key=lambda item: item[0][:2]):
        lines = [(write_name(*name), text) for name, text in of_table]
        width = max(len(name) for name, _ in lines)
        yield [f"{name:{width}} -- {text}" for name, text in lines]


def guess(table: str, column: str) -> str:
    """Guess what a column holds, from its name and its table's; with the question mark that a person has to take out."""
    found = next((text for pattern, text in _BY_NAME if re.search(pattern, column.lower())), "none")
    if found == "identity" and _GOODS.search(table.lower()):
        found = "purchase"
    return found if "?" in found else f"{found}?"
