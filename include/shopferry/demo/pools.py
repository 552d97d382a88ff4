"""The words that a generated shop is written with, and pools of names and places that rows are drawn from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faker import Faker

WORDS: Final = tomllib.loads((Path(__file__).with_name("words.toml")).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Pools:
    """Names and places of one country."""

    names: list[tuple[str, str]]
    streets: list[str]
    places: list[tuple[str, str]]  # (postcode, city)


def make_pools(seed: int) -> dict[str, Pools]:
    """Make the pools of each country; the same seed makes the same."""
    pools = {}
    for country, locale in WORDS["locales"].items():
        fake = Faker(locale)
        fake.seed_instance(seed)
        size = 1500 if country == "PL" else 200
        names = [(fake.first_name_female(), fake.last_name_female()) for _ in range(size)]
        names += [(fake.first_name_male(), fake.last_name_male()) for _ in range(size)]
        pools[country] = Pools(
            names,
            [fake.street_name() for _ in range(size)],
            [(fake.postcode(), fake.city()) for _ in range(size // 2)],
        )
    return pools
