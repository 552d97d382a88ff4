"""Countries, by their exact names and codes: a name that is nearly one is none, since it may be nearly another.

Codes and names in English, Polish and German are pycountry's; `countries.toml` adds local, former and other known names.
"""

from __future__ import annotations

import gettext
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import pycountry

from shopferry.engine.texts import Standard, repair

HOME: Final = "PL"  # where the demo shop is at home: the country of what was written without one
NOWHERE: Final = "ZZ"  # of what was written with a country that nobody knows
_TONGUES: Final = ("pl", "de")
_ARTICLE = re.compile(r"^\s*the\s+", re.IGNORECASE)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def _make_key(name: str) -> str:
    """Return what is compared of a name: its letters and digits without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l").replace("&", "and"))
    return "".join(c for c in plain if c.isalnum())


def _spell(one: Any) -> Iterator[str]:
    """Yield the codes and names that pycountry has for a country, also in the order in which they are spoken."""
    yield from (one.alpha_2, one.alpha_3, one.numeric)
    english = [spelt for name in ("name", "official_name", "common_name") if (spelt := getattr(one, name, ""))]
    tongues = [gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[code]) for code in _TONGUES]
    for name in (*english, *(tongue.gettext(name) for tongue in tongues for name in english)):
        yield name
        yield name.translate(_UMLAUTS)
        first, comma, rest = name.partition(", ")  # Korea, Republic of
        if comma and "," not in rest:
            yield f"{rest} {first}"


@cache
def load_names() -> dict[str, str]:
    """Load the code of each known name, by the key of the name. A name that two countries share is left out."""
    listed = tomllib.loads(Path(__file__).with_name("countries.toml").read_text(encoding="utf-8"))
    names: dict[str, set[str]] = {}
    for one in pycountry.countries:
        for name in (*_spell(one), *listed.get(one.alpha_2, ())):
            names.setdefault(_make_key(name), set()).add(one.alpha_2)
    return {key: codes.pop() for key, codes in names.items() if key and len(codes) == 1}


@lru_cache(maxsize=65536)
def country(raw: str) -> Standard:
    """ISO 3166-1 alpha-2 from a code or an exact name, whatever its case, accents and dots."""
    if not _make_key(raw):
        return Standard(None, "country_missing")
    names = load_names()
    for written in (raw, repair(raw), _ARTICLE.sub("", raw)):
        if code := names.get(_make_key(written)):
            return Standard(code)
    return Standard(None, "country_unknown")


def split_country(raw: str) -> tuple[str, str]:
    """Return (alpha-2, the rest) of `country|rest`; nothing written means HOME, an unknown one NOWHERE."""
    written, _, rest = raw.partition("|")
    verdict = country(written) if written else Standard(HOME)
    return verdict.value or (HOME if verdict.problem == "country_missing" else NOWHERE), rest
