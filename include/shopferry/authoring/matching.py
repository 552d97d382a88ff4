"""Which table of legacy becomes which of the new shop, and which column which: guesses by names, types and foreign keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from shopferry.authoring.catalogue import Field, Table

_ALIKE = 0.55  # of two tables' names and columns
_WITHOUT_PREFIX = 0.95  # of a likeness that shows only so
_SAME = 0.82  # of two columns' names
_SYNONYMS = (
    {"customer", "client", "user", "member", "person", "account", "buyer", "klient", "kunde"},
    {"order", "purchase", "booking", "sale", "zamowienie", "bestellung"},
    {"line", "item", "position", "detail", "entry"},
    {"address", "place", "location"},
    {"product", "article", "good", "ware"},
    {"mail", "email"},
    {"phone", "telephone", "tel", "mobile"},
    {"name", "title", "label", "word"},
    {"street", "line"},
    {"zip", "postcode", "postal"},
    {"town", "city"},
    {"created", "registered", "added", "placed", "inserted"},
    {"changed", "updated", "modified"},
    {"price", "amount", "cost"},
    {"count", "quantity", "qty"},
    {"note", "comment", "remark"},
    {"state", "status"},
    {"given", "first"},
    {"family", "last", "surname"},
)
_NOISE = {"at", "on", "date", "time", "the", "tbl", "shop", "code"}


@dataclass(frozen=True)
class ColumnPair:
    """A column of the new shop and the one of legacy that it comes from; `sure` where name and type say the same."""

    target: Field
    source: Field
    sure: bool


@dataclass(frozen=True)
class TablePair:
    """A table of the new shop and the one of legacy that it comes from, column by column."""

    source: Table
    target: Table
    sure: bool
    columns: tuple[ColumnPair, ...]

    def find(self, name: str) -> ColumnPair | None:
        """Return the pair of a column of the new shop."""
        return next((c for c in self.columns if c.target.name == name), None)


def split_words(name: str) -> list[str]:
    """Split a name into its words, in the singular: `customerOrders` is customer and order."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return [_make_singular(w.lower()) for w in words] or [name.lower()]


def _make_singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


def compare_names(one: str, other: str) -> float:
    """Tell how alike two names are, from 0 to 1, where words that mean the same are the same."""
    a, b = split_words(one), split_words(other)
    a, b = [w for w in a if w not in _NOISE] or a, [w for w in b if w not in _NOISE] or b
    if a == b:
        return 1.0
    left, common = list(b), 0
    for word in a:
        if found := next((w for w in left if w == word or any({w, word} <= s for s in _SYNONYMS)), None):
            left.remove(found)
            common += 1
    worded = 2 * common / (len(a) + len(b))
    return max(worded, SequenceMatcher(None, "".join(a), "".join(b)).ratio() * 0.9)


def pair_tables(legacy: Sequence[Table], shop: Sequence[Table]) -> list[TablePair]:
    """Pair tables, the most alike first; each is in one pair at most."""
    scored = []
    begun = Counter(t.name.partition("_")[0] for t in legacy)
    for target in shop:
        for source in legacy:
            named = compare_names(source.name, target.name)
            prefix, _, rest = source.name.partition("_")
            if rest and begun[prefix] > 1:  # some frameworks begin a table's name with its module's
                named = max(named, compare_names(rest, target.name) * _WITHOUT_PREFIX)
            columns = pair_columns(source, target)
            share = len(columns) / max(min(len(source.fields), len(target.fields)), 1)
            scored.append((0.6 * named + 0.4 * share, named, source, target, columns))
    scored.sort(key=lambda s: (-s[0], s[2].name, s[3].name))
    pairs: list[TablePair] = []
    for score, named, source, target, columns in scored:
        taken = any(p.source is source or p.target is target for p in pairs)
        if score >= _ALIKE and not taken:
            pairs.append(TablePair(source, target, named == 1.0, columns))
    return sorted(pairs, key=lambda p: p.target.name)


def pair_columns(source: Table, target: Table) -> tuple[ColumnPair, ...]:
    """Pair the columns of two tables, the most alike first; the keys are each other's, if each has one column."""
    pairs: dict[str, ColumnPair] = {}
    taken: set[str] = set()
    if len(source.key) == len(target.key) == 1:
        pairs[target.key[0].name] = ColumnPair(target.key[0], source.key[0], True)
        taken.add(source.key[0].name)
    scored = [
        (compare_names(s.name, t.name), s, t)
        for t in target.fields
        for s in source.fields
        if not t.generated and can_become(s, t)
    ]
    for score, s, t in sorted(scored, key=lambda c: -c[0]):
        legacy_key = s.in_key and _is_legacy_key(t.name, source.name)
        if score >= _SAME and t.name not in pairs and s.name not in taken:
            pairs[t.name] = ColumnPair(t, s, score == 1.0 and (s.base == t.base or (is_text(s) and is_text(t))))
            taken.add(s.name)
        elif legacy_key and t.name not in pairs:
            pairs[t.name] = ColumnPair(t, s, False)
    return tuple(pairs[f.name] for f in target.fields if f.name in pairs)


def _is_legacy_key(column: str, table: str) -> bool:
    """Tell whether a column of the new shop keeps the key of this table of legacy: `legacy_customer_id` of `customers`."""
    words = split_words(column)
    rest = [w for w in words if w not in {"legacy", "old", "id", "key"}]
    return (
        len(rest) < len(words)
        and bool({"legacy", "old"} & set(words))
        and (not rest or compare_names("_".join(rest), table) >= _SAME)
    )


_TEXTS = {"text", "character varying", "character", "citext"}
_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
_TIMES = {"timestamp without time zone", "timestamp with time zone", "date"}


def can_become(source: Field, target: Field) -> bool:
    """Tell whether a value of one type can be made one of another without a guess at its meaning."""
    a, b = source.base, target.base
    if a == b or (b in _TEXTS and not a.endswith("[]")):
        return True
    return (
        any(a in kind and b in kind for kind in (_NUMBERS, _TIMES, {"json", "jsonb"}))
        or ((source.enum or a in _TEXTS) and (target.enum or b in {"uuid", "date", "boolean", *_NUMBERS}))
        or (a in {"smallint", "integer"} and b == "boolean")
    )


def is_text(field: Field) -> bool:
    """Tell whether a column holds texts."""
    return field.base in _TEXTS
