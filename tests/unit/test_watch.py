"""What the watch complains of, where the runbook says more, and what the screen shows of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from shopferry.cdc.positions import Gap
from shopferry.control.offsets import Consumer, Position
from shopferry.health import screen
from shopferry.health.measure import PhaseProgress, Slot, SyncHealth, Topic
from shopferry.health.problems import MIB, RUNBOOK, Code, Limits, find_problems
from shopferry.settings import PROJECT

SLOT = Slot("shopferry_demo", True, "reserved", 1000, 2000)
TABLES = (
    "addresses",
    "consents",
    "customers",
    "loyalty_accounts",
    "loyalty_log",
    "loyalty_redemptions",
    "loyalty_rewards",
    "order_items",
    "order_status_log",
    "order_invoices",
    "orders",
    "promotions",
)
TOPICS = (*(Topic(f"demo.public.{t}", 0, 0.0, 0) for t in TABLES), Topic("demo.shopferry.marker", 0, 0.0, 0))
WELL = SyncHealth(
    "demo",
    begun=True,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    age_s=600.0,
    applied_lag_s=0.3,
    slot=SLOT,
    topics=TOPICS,
    phases=(
        PhaseProgress("contacts", "verified", (7, 7), (14, 14), None, False, 41.0),
        PhaseProgress("orders", "merging", (44, 44), (103, 512), "airflow:orders:manual__2026-03-01", True, 230.0),
        PhaseProgress("loyalty", "new"),
    ),
    position=Position("2/1A2B3C4D", datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC), 1.0),
    events_per_s=81.5,
    lag_ms_p50=90,
    consumers=(Consumer("host", 1.0, None),),
    quarantine={"status_unknown": 100_000},
)
OTHER = Consumer("other", 1.0, None)

WRONG = [
    (
        replace(WELL, away={"shop": "OperationalError no SQLSTATE"}, begun=False, slot=None),
        Code.SHOP_AWAY,
        "new shop cannot",
    ),
    (replace(WELL, away={"legacy": "OperationalError"}, slot=None), Code.LEGACY_AWAY, "slot and publication were not"),
    (
        replace(WELL, away={"broker": "no answer"}, topics=()),
        Code.BROKER_AWAY,
        "what waits there was not looked at: no answer",
    ),
    (replace(WELL, slot=None), Code.SLOT_GONE, "is gone"),
    (replace(WELL, slot=replace(SLOT, wal_status="lost")), Code.SLOT_LOST, "invalidated"),
    (replace(WELL, slot=replace(SLOT, active=False)), Code.SLOT_INACTIVE, "nobody reads slot"),
    (replace(WELL, slot=replace(SLOT, lag_bytes=300 * MIB)), Code.SLOT_BEHIND, "300 MiB behind (limit 256 MiB)"),
    (replace(WELL, slot=replace(SLOT, retained_bytes=3000 * MIB)), Code.SLOT_RETAINS, "3000 MiB of log"),
    (
        replace(WELL, slot=replace(SLOT, limit_bytes=1000 * MIB, headroom_bytes=200 * MIB)),
        Code.SLOT_HEADROOM,
        "200 MiB more",
    ),
    (
        replace(WELL, slot=replace(SLOT, limit_bytes=9 * MIB, headroom_bytes=9 * MIB, wal_status="unreserved")),
        Code.SLOT_HEADROOM,
        "unreserved",
    ),
    (
        replace(WELL, withheld=("column public.orders.note is not in publication x",)),
        Code.UNPUBLISHED,
        "public.orders.note",
    ),
    (
        replace(WELL, refused=("the REPLICA IDENTITY of public.orders is FULL",)),
        Code.WRITES_REFUSED,
        "cannot UPDATE or DELETE there: the REPLICA IDENTITY of public.orders is FULL",
    ),
    (
        replace(WELL, unlogged=("public.orders_2019 is gone",)),
        Code.BESIDE_LOG,
        "since the verification: public.orders_2019 is gone: run `shopferry verify`",
    ),
    (
        replace(WELL, target_changed=("shop.customer.phone is gone or renamed",)),
        Code.TARGET_CHANGED,
        "since the route was installed: shop.customer.phone is gone or renamed: mend the mapping",
    ),
    (replace(WELL, lost="table public.orders is not in publication x"), Code.CHANGES_LOST, "public.orders"),
    (replace(WELL, topics=(*TOPICS[1:], Topic("demo.public.x"))), Code.TOPIC_MISSING, "no topic demo.public.x"),
    (
        replace(WELL, gaps=(Gap("t", 1, 40, "the broker ends at 7"),)),
        Code.EVENTS_MISSING,
        "offset 40, but the broker ends at 7",
    ),
    (replace(WELL, consumers=()), Code.CONSUMER_MISSING, "no consumer was ever seen"),
    (replace(WELL, unfenced=("shop.payment",)), Code.STORE_OPEN, "the new shop takes writes, though"),
    (
        replace(WELL, active="shop", standby=True, unfenced=("public.orders",)),
        Code.STORE_OPEN,
        "the legacy store takes writes",
    ),
    (
        replace(WELL, route="demo_reverse", other=replace(WELL, active="shop", standby=True, slot=None)),
        Code.SLOT_GONE,
        "demo: ",
    ),
    (replace(WELL, active="shop", slot=replace(SLOT, retained_bytes=3000 * MIB)), Code.SLOT_RETAINS, "3000 MiB of log"),
    (replace(WELL, consumers=(Consumer("host", 1.0, "EventError: t[0]@7"),)), Code.CONSUMER_STOPPED, "t[0]@7"),
    (
        replace(WELL, consumers=(OTHER, Consumer("host", 9.0, "EventError: x"))),
        Code.CONSUMER_STOPPED,
        "host has stopped",
    ),
    (replace(WELL, consumers=(Consumer("host", 90000.0, "EventError: x"),)), Code.CONSUMER_STOPPED, "host has stopped"),
    (replace(WELL, consumers=(Consumer("host", 31.0, None),)), Code.CONSUMER_SILENT, "last seen 31 s ago (limit 30)"),
    (
        replace(WELL, overlong=("shop.customer_order (the oldest since 2026-01-02)",)),
        Code.QUARANTINE_OVERLONG,
        "for longer than route.toml says: shop.customer_order (the oldest since 2026-01-02): correct",
    ),
    (replace(WELL, applied_lag_s=61.0), Code.LATE, "61 s late (limit 60)"),
    (replace(WELL, topics=(Topic("t", 3, 75.0, 90), *TOPICS)), Code.LATE, "75 s late (limit 60)"),
]


def test_all_is_well_however_many_rows_wait_in_quarantine() -> None:
    assert find_problems(WELL) == []
    assert "all is well" in screen.render(WELL, [])[0]


@pytest.mark.parametrize(("health", "code", "said"), WRONG)
def test_each_limit_has_its_problem(health: SyncHealth, code: Code, said: str) -> None:
    [problem] = find_problems(health)
    assert problem.code == code
    assert said in problem.text
    assert problem.anchor == f"docs/runbooks/watch_sync.md#{code}"


def test_every_problem_is_tried_here() -> None:
    assert {code for _, code, _ in WRONG} == set(Code)


def test_the_runbook_has_a_section_for_each_problem_and_no_other() -> None:
    text = (PROJECT / RUNBOOK).read_text()
    _, _, complained = text.partition("\n## Complaints\n")
    sections = re.split(r"^### ", complained.partition("\n## ")[0], flags=re.MULTILINE)[1:]
    # A heading's anchor, as it is made by whoever renders Markdown.
    anchors = [re.sub(r"[^\w\- ]", "", s.partition("\n")[0]).strip().lower().replace(" ", "-") for s in sections]
    assert sorted(anchors) == sorted(Code)
    for section in sections:
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert part in section, section.partition("\n")[0]


def test_after_the_cutover_the_flow_that_led_there_is_on_the_screen() -> None:
    health = replace(WELL, route="demo_reverse", other=replace(WELL, active="shop", standby=True))
    assert find_problems(health) == []
    [line] = [line for line in screen.render(health, []) if line.startswith("kept up")]
    assert "demo: " in line and "slot active" in line and "consumer seen" in line


def test_the_limits_are_the_callers() -> None:
    assert find_problems(WELL, Limits(lag_s=0.1))


def test_who_left_is_not_missed_while_another_consumer_works() -> None:
    assert find_problems(replace(WELL, consumers=(OTHER, Consumer("host", 90.0, None)))) == []
    assert find_problems(replace(WELL, consumers=(OTHER, Consumer("host", 900.0, "EventError: t[0]@7")))) == []


@pytest.mark.parametrize(
    "health", [SyncHealth("demo", begun=False), replace(WELL, active="shop", slot=None, consumers=(), topics=())]
)
def test_quiet_before_the_first_phase_and_after_the_cutover(health: SyncHealth) -> None:
    assert not health.watched
    assert find_problems(health) == []
    assert "all is well" not in "\n".join(screen.render(health, []))


def test_connector_and_consumer_have_a_minute_to_begin() -> None:
    beginning = replace(WELL, age_s=20.0, slot=None, consumers=())
    assert find_problems(beginning) == []
    headline, *lines = screen.render(beginning, [])
    assert "40 s left" in headline
    assert [line[:40] for line in lines if line.startswith("~")] == [
        "~ not yet: replication slot shopferry_de",
        "~ not yet: no consumer was ever seen: st",
    ]
    assert "all is well" in screen.render(replace(WELL, age_s=20.0), [])[0]
    assert len(find_problems(replace(beginning, age_s=61.0))) == 2


def test_nothing_is_forgiven_a_beginner_but_that_it_has_not_begun() -> None:
    beginning = replace(
        WELL, age_s=20.0, away={"broker": "no answer"}, topics=(), slot=replace(SLOT, wal_status="lost")
    )
    assert {c.code for c in find_problems(beginning)} == {Code.BROKER_AWAY, Code.SLOT_LOST}


def test_the_slot_is_watched_while_the_shop_is_away() -> None:
    health = SyncHealth("demo", begun=False, away={"shop": "x"}, slot=replace(SLOT, retained_bytes=3000 * MIB))
    assert {c.code for c in find_problems(health)} == {Code.SHOP_AWAY, Code.SLOT_RETAINS}
    assert any(line.startswith("slot") for line in screen.render(health, find_problems(health)))


@pytest.mark.parametrize("width", [80, 120])
def test_the_worst_day_fits_one_screen(width: int) -> None:
    tables = [Topic(f"demo.public.table_with_a_long_name_{n}", 1_234_567 * n, 86_400.0, 10**9 * n) for n in range(40)]
    slot = Slot("shopferry_demo", False, "extended", 3000 * MIB, 9000 * MIB, 10_000 * MIB, 1000 * MIB)
    worst = replace(
        WELL,
        topics=tuple(tables),
        slot=slot,
        gaps=(Gap("demo.public.orders", 1, 40, "the broker ends at 7"),),
        consumers=(
            Consumer(
                "a-host-with-a-name", 40.0, "EventError: demo.public.orders[1]@123456: not a change event in JSON"
            ),
        ),
        quarantine={f"reason_number_{n}": 10_000 - n for n in range(40)},
        withheld=("column public.orders.note is not in publication x",),
    )
    found = find_problems(worst)
    assert len(found) > 5
    shown = screen.render(worst, found, width)
    assert len(shown) <= (40 if width == 120 else 45)
    assert max(map(len, shown)) <= width
    assert sum(line.startswith("!") for line in shown) == len(found)
    assert any("others" in line for line in shown)
    assert any("table_with_a_long_name_39" in line for line in shown)


def test_what_could_not_be_looked_at_is_a_question_mark_and_no_zero() -> None:
    health = replace(WELL, away={"broker": "no answer", "legacy": "no answer"}, topics=(), slot=None)
    shown = screen.render(health, find_problems(health))
    assert "2 THINGS ARE WRONG" in shown[0]
    [waits] = [line for line in shown if "the broker cannot be looked at" in line and "?" in line]
    assert waits.split()[:3] == ["?", "?", "?"]
    assert any(line.startswith("slot") and "?" in line for line in shown)


def test_a_phase_whose_turn_it_is_is_called_due() -> None:
    """Airflow starts it by itself, but not where its DAG was paused when the one before ended."""
    phases = (PhaseProgress("contacts", "verified"), PhaseProgress("orders", "new"), PhaseProgress("loyalty", "new"))
    lines = screen.render(replace(WELL, phases=phases), [])
    [due] = [line for line in lines if "due: " in line]
    assert due.startswith("orders ") and "unpause or start DAG orders" in due
    working = (replace(phases[0], state="merging"), *phases[1:])
    assert not [line for line in screen.render(replace(WELL, phases=working), []) if "due: " in line]


def test_who_has_which_role_stands_below_the_rest() -> None:
    told = {"stage": "now cutover, 2026-11-28 to 2026-11-29: Jan (platform)", "people": "platform Jan"}
    assert screen.render(replace(WELL, people=told), [])[-2:] == [
        "stage       now cutover, 2026-11-28 to 2026-11-29: Jan (platform)",
        "people      platform Jan",
    ]
