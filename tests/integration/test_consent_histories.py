"""Consents over random histories: every refusal stays, and who is granted may be written to. The model is tests/consents.py."""

from __future__ import annotations

from collections.abc import Callable

import consents
import profiles
import pytest
import steps
from consents import Model, OptOut, Put, Step, Write
from hypothesis import given, note, seed
from pair import ROUTE, Pair
from profiles import LONG
from shopferry.engine import backfill
from shopferry.privacy import optout_files, optouts
from steps import Replay, Resync

_SHARES = 4 if LONG else 2
_PROFILE = profiles.choose(short=40, long=1_000, shares=_SHARES)


def empty(pair: Pair) -> None:
    """Make the pair what it was before the history; the phase stays live, and the demo's wordings stay."""
    with pair.legacy.transaction():
        for table in ("customers", "consents"):
            pair.legacy.execute(f"DELETE FROM {table}".encode())
        pair.legacy.execute(f"DELETE FROM consent_texts WHERE id >= {consents.TEXT}".encode())
    pair.tap.skip()
    with pair.shop.transaction():
        pair.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        for unit in reversed(ROUTE.mappings):
            rest = f" WHERE id >= {consents.TEXT}" if unit.entity == "shop.consent_text" else ""
            pair.shop.execute(f"DELETE FROM {unit.entity}{rest}".encode())
        for table in ("customers", "consents"):
            pair.shop.execute(f"DELETE FROM mirror.{table}".encode())
            pair.shop.execute(f"DELETE FROM ferry.witness_{table}".encode())
        pair.shop.execute(f"DELETE FROM mirror.consent_texts WHERE id >= {consents.TEXT}".encode())
        for table in ("identity", "quarantine", "left_out", "optout", "optout_import", "kafka_offset", "replay_batch"):
            pair.shop.execute(f"DELETE FROM ferry.{table}".encode())
        pair.shop.execute("DELETE FROM ferry.difference; DELETE FROM ferry.verification; DELETE FROM ferry.chunk")
    pair.log.partitions.clear()
    pair.log.order.clear()


def take(pair: Pair, step: Step, model: Model) -> None:
    """Take one step of a history."""
    if isinstance(step, Write):
        model.write(pair.legacy, step.operations, commit=step.commit)
        model.note()
    elif isinstance(step, OptOut):
        file = f"email,channel,reason,at\n{step.address},{step.channel},unsubscribed,{step.day or ''}\n"
        optouts.take(pair.stores, optout_files.read(file.encode(), "list", "csv"), "list", "csv", "test")
        model.optouts.append(step)
    else:
        steps.take(pair, step, lambda lost: model.write(pair.legacy, lost, commit=True))
        if isinstance(step, Resync):
            model.note()


def look(pair: Pair, model: Model) -> None:
    """What must hold whenever all that legacy committed is applied."""
    told = pair.ask(
        """SELECT substring(source_key FROM '^consents:(.*?):'), channel::text, happened_at AT TIME ZONE 'Europe/Warsaw'
           FROM shop.consent_event WHERE act = 'withdrawn' AND source_key LIKE 'consents:%'"""
    )
    lost = model.expect_events() - set(told)
    assert not lost, f"refusals that the chain does not tell of: {lost}"
    for email, phone, purpose, channel in pair.ask(
        """SELECT c.email, c.phone, s.purpose::text, s.channel::text
           FROM shop.consent s JOIN shop.customer c ON c.id = s.customer_id WHERE s.state = 'granted'"""
    ):
        assert purpose == "marketing", "a newsletter flag is no proof"
        breach = model.find_breach(email, phone, channel)
        assert breach is None, f"{email}, {phone} is granted by {channel}: {breach}"


def play(pair: Pair, opening: tuple[list[Put], str], steps: list[Step]) -> None:
    """Play one history from its opening to its end, looking whenever all is applied."""
    empty(pair)
    model = Model()
    declared, copied = opening
    model.write(pair.legacy, [*consents.open_accounts(), *declared], commit=True)
    model.note()
    if copied == "alone":
        pair.tap.skip()
    if copied != "not":  # the stream brings what was copied, later, or does not
        backfill.resync(pair.stores, "test", pair.log.ends)
        model.note()
    for step in steps:
        take(pair, step, model)
        if isinstance(step, (Replay, Resync, OptOut)) and not pair.capture() and not pair.pending():
            look(pair, model)
    pair.sync()
    look(pair, model)
    pair.check()


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_granted_is_the_last_word_and_every_refusal_stays(share: int, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    pair.pass_phases(["contacts"])
    with profiles.book(share, "of consents") as run:

        @seed(run.seed)
        @_PROFILE
        @given(opening=consents.openings, steps=consents.histories)
        def test(opening: tuple[list[Put], str], steps: list[Step]) -> None:
            run.begun += 1
            if run.begun % 50 == 0:
                pair.shop.execute("VACUUM")
            note(f"opening {opening}")
            for step in steps:
                note(str(step))
            play(pair, opening, steps)

        test()
