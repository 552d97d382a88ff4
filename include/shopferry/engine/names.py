"""Names of persons: given and family name of a full name, so that no part of it is lost.

Titles and degrees are no parts of a name; what tells father from son (Jr., III) stays with the family name. A name that
cannot be parted for sure stands whole as the family name, with a note.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from shopferry.engine.texts import PLAIN, Standard, repair

_TITLES: Final = frozenset(
    {
        "dr",
        "prof",
        "hab",
        "mgr",
        "inż",
        "inz",
        "ks",
        "herr",
        "frau",
        "dipl-ing",
        "mr",
        "mrs",
        "ms",
        "miss",
        "mme",
        "mlle",
    }
    | {"mudr", "judr", "phdr", "rndr", "mvdr"}
)
# Without the dot these are names too.
_DOTTED_TITLES: Final = frozenset(
    {"ing", "mag", "lek", "bc", "dipl", "doc", "lic", "rev", "med", "sig", "dott", "hr", "fr", "sr", "sra", "srta"}
)
_FULL_NAME_TITLES: Final = frozenset({"pan", "pani"})  # names too, unless given and family name follow
# Mba, in small letters, is a name, and so is Ma.
_DEGREES: Final = frozenset(
    {"PhD", "CSc", "DrSc", "MBA", "MSc", "BSc", "LLM", "LLB", "Esq", "DDS", "M.D.", "M.A.", "B.A."}
)
_NEVER_NAMES: Final = frozenset({"phd", "csc", "drsc"})
_ROMAN: Final = frozenset({"ii", "iii"})  # IV is one only in capitals
_GENERATIONS: Final = _ROMAN | {"jr", "sr"}
_DOTTED_GENERATIONS: Final = frozenset({"jun", "sen"})
_FAMILY_GENERATIONS: Final = frozenset({"junior", "júnior", "senior", "filho", "neto"})  # names too, of two words
_PARTICLES: Final = frozenset(
    {"von", "zu", "zum", "zur", "vom", "van", "der", "den", "ter", "ten", "te", "het", "af", "av", "de", "du", "des"}
    | {"la", "le", "del", "los", "las", "da", "di", "do", "dos", "das"}
)
_COMPANY = re.compile(
    r"(?:\b(?:sp\.? ?(?:z ?o\.? ?o|j|k)|spółka|s\.a|s\.c|s\.r\.[ol]|a\.s|b\.v|e\.k|gmbh|ohg|ltd|limited|llc|inc|plc|kft))\.?$",
    re.IGNORECASE,
)
_TELLING = 4  # letters of a word by which spellings of it meet: Kowalski, Kowalska and Kowalsky
_STROKES: Final = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "æ": "ae", "œ": "oe"})  # no accents to Unicode
_WORD = re.compile(r"[^\W\d_]+")
_INITIAL_BEFORE = re.compile(r"\b([^\W\d_]\.)(?=[^\W\d_]{2})")


def given_name(raw: str) -> Standard:
    """Given names of a full name, repaired, titles dropped, capitals put right where all letters had one case."""
    value = _split(raw)[0]
    return Standard(value) if value else Standard(None, "given_name_missing")


def family_name(raw: str) -> Standard:
    """Family name of a full name, with its particles (van der Berg); a note says that it is the whole name."""
    given, value = _split(raw)
    if not value:
        return Standard(None, "name_missing")
    return Standard(value, None if given or " " not in value else "name_undivided")


def name_words(raw: str) -> Standard:
    """The words by which two spellings of one person's name meet: first letters of each, without accents, in order.

    Titles, particles and initials are left out. Two names that have none of these words in common are far apart.
    """
    words = [w for part in _split(raw) for w in _WORD.findall(part)]
    told = {fold(w)[:_TELLING] for w in words if len(w) > 1 and w.lower() not in _PARTICLES | _GENERATIONS}
    return Standard(" ".join(sorted(told))) if told else Standard(None, "name_missing")


def fold(word: str) -> str:
    """Write a word without accents and capitals."""
    plain = unicodedata.normalize("NFKD", word.casefold().translate(_STROKES))
    return "".join(c for c in plain if not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def _split(raw: str) -> tuple[str, str]:
    """(given, family) of a full name; a single word is the family name, `Kowalski, Jan` is turned round."""
    name = (raw if PLAIN.fullmatch(raw) else repair(raw)).strip(" ,")
    if "@" in name or not _WORD.search(name):
        return "", ""
    parts = [_drop_titles(part.split(), _has_one_case(name)) for part in _INITIAL_BEFORE.sub(r"\1 ", name).split(",")]
    family, *others = [part for part in parts if part] or [[]]
    if _COMPANY.search(name) or not family:  # nothing but titles
        return "", name
    generation = _take_generation(family, 1)
    given: list[str] = []
    for part in others:
        generation += _take_generation(part, 0)
        given += part
    one_case = _has_one_case(" ".join(given + family))
    if not given:
        cut = _find_family(family, one_case)
        given, family = family[:cut], family[cut:]
    # A number or a remark in brackets is no family name, nor is Jr.
    if not _WORD.search(" ".join(family)) or family[-1].endswith(")") or (generation and not given):
        given, family = [], given + family
    if one_case:
        given, family = _capitalize(given), _capitalize(family, begins=not given)
        generation = [word if word == "IV" else _capitalize([word])[0] for word in generation]
    return " ".join(given), " ".join(family + generation)


def _has_one_case(name: str) -> bool:
    return name.isupper() or name.islower()


def _simplify(word: str) -> str:
    return word.lower().replace(".", "")


def _drop_titles(words: list[str], one_case: bool) -> list[str]:
    """Drop the titles before a name and the degrees after it; nothing may be left, where there was nothing else."""
    start = 0
    while start < len(words) and _is_title(words[start], len(words) - start - 1):
        start += 1
        if words[start : start + 1] == ["n."] and len(words) - start > 2:  # dr n. med.
            start += 2
        if words[start : start + 1] == ["&"]:  # Mr & Mrs
            start += 1
    end = len(words)
    while end > start and _is_degree(words[end - 1], end - start - 1, one_case):
        end -= 1
    return words[start:end]


def _is_title(word: str, following: int) -> bool:
    simple = _simplify(word)
    if simple in _FULL_NAME_TITLES or word == "p.":  # P. is an initial
        return following > 1
    return simple in _TITLES or (simple in _DOTTED_TITLES and word.endswith("."))


def _is_degree(word: str, before: int, one_case: bool) -> bool:
    simple = _simplify(word)
    if simple in _NEVER_NAMES:
        return True
    return before > 1 and bool(simple in _TITLES or (not one_case and {word, word.replace(".", "")} & _DEGREES))


def _take_generation(words: list[str], keep: int) -> list[str]:
    """Take the generation from the end of a name of which at least `keep` words must stay."""
    if len(words) <= keep:
        return []
    word, simple = words[-1], _simplify(words[-1])
    if (
        simple in _GENERATIONS
        or word == "IV"
        or (simple in _DOTTED_GENERATIONS and word.endswith("."))
        or (simple in _FAMILY_GENERATIONS and len(words) > 2)
    ):
        return [words.pop()]
    return []


def _find_family(words: list[str], one_case: bool) -> int:
    """Find where the family name begins; at the first word, if the name cannot be parted."""
    leading = 0
    while leading < len(words) and words[leading].lower() in _PARTICLES:
        leading += 1
    if leading and (leading >= len(words) - 1 or (words[0].islower() and not one_case)):
        return 0  # van Dijk, who has no given name; Le Hoa, who may have one
    cut = len(words) - 1
    while cut > 1 and words[cut - 1].lower() in _PARTICLES:
        cut -= 1
    return cut


def _capitalize(words: list[str], begins: bool = True) -> list[str]:
    """Give words of one case their capitals. A particle is small, but not where a name begins or ends."""

    def write(n: int, word: str) -> str:
        if word.lower() in _ROMAN:
            return word.upper()
        if word.lower() in _PARTICLES and n < len(words) - 1 and (n or not begins):
            return word.lower()
        return _WORD.sub(lambda m: m[0].capitalize(), word)

    return [write(n, word) for n, word in enumerate(words)]
