"""Tax numbers of buyers, checked by the rules of the country on the invoice (`country|number`) and written without marks.

A number that its country's rule refuses, or of a country whose rule nobody has put here, stands on the invoice all the same:
the mapping keeps it as written, with our problem as a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum.exceptions import ValidationError
from stdnum.it import iva
from stdnum.pl import nip
from stdnum.ro import cui

from shopferry.engine.countries import split_country
from shopferry.engine.texts import Standard

_RULES: Final[dict[str, Callable[[str], str]]] = {"IT": iva.validate, "PL": nip.validate, "RO": cui.validate}
_LABEL = re.compile(r"^\W*(?:NIP|CUI|CIF|P\.? ?IVA|VAT)\b[\s.:/-]*", re.IGNORECASE)


def tax_number(raw: str) -> Standard:
    """The digits of a valid number of its country; none where the rule refuses it or there is no rule."""
    code, rest = split_country(raw)
    written = _LABEL.sub("", rest).strip()
    if not any(c.isalnum() for c in rest):
        return Standard(None, "tax_number_missing")
    if code not in _RULES:
        return Standard(None, "tax_number_unchecked")
    try:
        number = _RULES[code](written)
    except ValidationError:
        return Standard(None, "tax_number_invalid")
    # Zeros alone pass some of the rules, and so do digits of other alphabets.
    return Standard(number) if number.isascii() and number.strip("0") else Standard(None, "tax_number_invalid")
