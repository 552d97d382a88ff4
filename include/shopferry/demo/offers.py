"""What the shop gives away, and what people wish to hear of it: rewards, promotions, frequency and topics of news."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from shopferry.demo.defects import Rates

_FREQUENCIES = ("W", "weekly", "tyg.", "M", "mies.", "monthly", "all", "codziennie", "never", "Nigdy", "0", " ", "")
_SAID = 0.3  # of accounts: the page of settings is younger than most of them
_USED_CODES = ("LATO", "ZIMA", "WITAJ", "URODZINY", "BLACKFRIDAY")


def draw_frequency(rng: Random, rates: Rates) -> str | None:
    """Draw how often news may come, in one of the spellings that three generations of the page have left."""
    if rng.random() < rates.frequency_unknown:
        return rng.choice(("czasem", "?", "co kwartał"))
    return rng.choice(_FREQUENCIES) if rng.random() < _SAID else None


def draw_topics(rng: Random, rates: Rates, words: list[str]) -> str | None:
    """Draw the topics of news as a list in one column: of any separator and case, some of them twice."""
    if rng.random() >= _SAID:
        return None
    chosen = [rng.choice((word, word.upper(), word.capitalize())) for word in rng.choices(words, k=rng.randrange(1, 5))]
    if rng.random() < rates.topic_unknown:
        chosen.append(rng.choice(("wędkarstwo", "xyz")))
    return rng.choice((",", ", ", ";", "|")).join(chosen)


def write_end(rng: Random, rates: Rates, day: date) -> str | None:
    """Write a last day in text: in one of two orders, not at all, or so that no one can read it."""
    if rng.random() < rates.end_invalid:
        return rng.choice(("koniec roku", "31.02.2026", "do odwołania"))
    return rng.choice((day.isoformat(), f"{day:%d.%m.%Y}", f"{day:%Y-%m-%d} 00:00:00", "0000-00-00", None))


def draw_rewards(
    rng: Random, rates: Rates, orders: list[tuple[int, datetime, float]], names: list[str], last: datetime
) -> Iterator[tuple[Any, ...]]:
    """Draw the rewards that somebody earned with some of these orders: what follows the customer in their columns.

    `last` is the shop's last day: most rewards that ran out before it are closed.
    """
    for order, placed, _ in orders:
        if rng.random() >= 0.25:
            continue
        points = None if rng.random() < rates.reward_without_points else rng.randrange(10, 200)
        taken = placed + timedelta(days=rng.randrange(1, 200)) if rng.random() < 0.5 else None
        end = placed + timedelta(days=rng.choice((180, 365, 730)))
        state: str | None
        state = "W" if taken else "A" if rng.random() < 0.1 else "X" if end < last and rng.random() < 0.97 else "O"
        if rng.random() < rates.reward_without_letter and state in {"O", "W"}:
            state = rng.choice((None, " "))
        if rng.random() < rates.reward_contradicts:
            state, taken = "O", placed + timedelta(days=3)
        yield (
            f"R{rng.getrandbits(48):012X}" if rng.random() < 0.8 else None,
            rng.choice(names),
            points,
            placed,
            write_end(rng, rates, end.date()),
            taken,
            state,
            order if taken and rng.random() < 0.3 else 0,
        )


def draw_promotions(rng: Random, rates: Rates, count: int, last: datetime) -> Iterator[tuple[Any, ...]]:
    """Draw promotions, the oldest first; now and then a code is given out again, in another case."""
    given: list[str] = []
    for number in range(count):
        first = (last - timedelta(days=30 * (count - number))).date()
        code = f"{rng.choice(_USED_CODES)}{first:%y%m}{number}"
        if given and rng.random() < rates.promotion_twice:
            code = rng.choice(given).lower()
        given.append(code)
        percent = rng.random() < 0.7
        kind = rng.choice(("P", "%", "proc.")) if percent else rng.choice(("K", "kwota"))
        yield (
            code,
            "?" if rng.random() < rates.promotion_kind_unknown else kind,
            rng.choice((5, 10, 15, 20)) if percent else rng.choice((20, 50)),
            rng.choice(("PLN", "zł")),
            rng.choice((0, 0, 100)),
            first.isoformat(),
            write_end(rng, rates, first + timedelta(days=30)),
            rng.choice("TN"),
            rng.choice("TTN"),
            rng.choice((0, 0, 500)),
            rng.randrange(400),
        )
