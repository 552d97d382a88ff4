"""route.toml: what it may say, what it means, and that nonsense is refused with the line or the key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from shopferry.errors import ConfigError
from shopferry.route import settings as route_settings
from shopferry.route.settings import Allowance, Responsible, Retention, RouteSettings, Terms, Window

WHO = 'owner = "a"\ncontact = "x"\n'
ROWS = WHO + "[[cutover.quarantine]]\n"
NIGHT = WHO + "[cutover.window]\n"
TERMS = WHO + "[cutover]\n"
RETENTION = WHO + "[retention]\n"
ALLOWED = '[[cutover.quarantine]]\nreason = "a"\nrows = 1\nwho = "b"\n'
FULL = """
[cutover]
verified_hours = 6
old_transaction_seconds = 20
free_disk_gib = 7.5

[cutover.window]
earliest = 22:00:00
latest = 04:30:00
zone = "Europe/Warsaw"

[cutover.disk_gib]
legacy = 200

[[cutover.quarantine]]
reason = "email_missing"
rows = 1200
who = "Anna of customer care"

[[cutover.way_back_quarantine]]
reason = "refused_by_type"
rows = 3
who = "Jan"

[optout]
sources = ["mailchimp", "klaviyo"]

[optout.waived_by]
klaviyo = "Anna"
"""


def read(tmp_path: Path, text: str) -> RouteSettings:
    (tmp_path / "demo").mkdir(exist_ok=True)
    (tmp_path / "demo" / route_settings.FILE).write_text(text)
    return route_settings.load("demo", tmp_path)


def window(tmp_path: Path, *lines: str) -> Window:
    found = read(tmp_path, NIGHT + "" + "\n".join(lines)).cutover.window
    assert found
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_without_the_file_all_is_by_default(tmp_path: Path) -> None:
    assert route_settings.load("demo", tmp_path) == RouteSettings(Responsible("", ""), Terms())


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    found = read(tmp_path, WHO + FULL)
    assert found.responsible == Responsible("a", "x")
    terms = found.cutover
    assert (terms.verified_hours, terms.old_transaction_seconds, terms.free_disk_gib) == (6, 20, 7.5)
    assert terms.disk_gib == {"legacy": 200}
    assert terms.quarantine == {"email_missing": Allowance("email_missing", 1200, "Anna of customer care")}
    assert terms.way_back_quarantine == {"refused_by_type": Allowance("refused_by_type", 3, "Jan")}
    assert (terms.optout_sources, terms.optout_waived_by) == (("mailchimp", "klaviyo"), {"klaviyo": "Anna"})
    assert str(terms.window) == "from 22:00 to 04:30 Europe/Warsaw"
    assert read(tmp_path, WHO).cutover == Terms()


def test_inactive_accounts_stay_behind_where_a_name_decided_it(tmp_path: Path) -> None:
    found = read(tmp_path, RETENTION + 'inactive_since = 2021-01-01\ninactive_decided_by = "Anna"\n').retention
    assert (found.inactive_since, found.inactive_decided_by) == (date(2021, 1, 1), "Anna")
    assert found.tell_inactive().endswith("decided by Anna") and "since 2021-01-01" in found.tell_inactive()
    nothing = read(tmp_path, WHO).retention
    assert (nothing.inactive_since, nothing.tell_inactive()) == (None, "")


def test_the_example_of_the_reference_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "route-settings.md"
    example = page.read_text().split("```toml\n")[1].split("```")[0]
    assert read(tmp_path, example).cutover.window


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-01-10 20:59", False),  # 21:59 in Warsaw
        ("2026-01-10 21:00", True),
        ("2026-01-11 03:30", True),
        ("2026-01-11 03:31", False),
        ("2026-07-10 20:00", True),  # 22:00 there in summer
        ("2026-07-10 12:00", False),
    ],
)
def test_a_window_past_midnight_is_of_its_zone(tmp_path: Path, moment: str, open_: bool) -> None:
    made = window(tmp_path, "earliest = 22:00:00", "latest = 04:30:00", 'zone = "Europe/Warsaw"')
    assert made.holds(at(moment)) is open_


def test_a_window_within_a_day(tmp_path: Path) -> None:
    made = window(tmp_path, "earliest = 01:00:00", "latest = 02:00:00", 'zone = "UTC"')
    assert [made.holds(at(f"2026-01-10 {clock}")) for clock in ("00:59", "01:30", "02:01")] == [False, True, False]


def test_a_window_of_moments(tmp_path: Path) -> None:
    made = window(
        tmp_path, "earliest = 2026-11-29T01:00:00", "latest = 2026-11-29T03:00:00+02:00", 'zone = "Europe/Warsaw"'
    )
    seen = [
        made.holds(at(f"2026-11-{moment}")) for moment in ("28 23:59", "29 00:00", "29 01:00", "29 01:01", "30 00:30")
    ]
    assert seen == [False, True, True, False, False]
    assert str(made) == "from 2026-11-29 01:00 to 2026-11-29 02:00 Europe/Warsaw"
    only = window(tmp_path, "earliest = 2026-11-29T01:00:00", 'zone = "UTC"')
    assert [only.holds(at(f"2026-11-{moment}")) for moment in ("29 00:59", "30 00:00")] == [False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("owner = ", "demo/route.toml is no TOML: Invalid value \\(at (line 1, column 9|end of document)\\)"),
        ('owner = "a"\n', "demo/route.toml: contact is missing or no text"),
        ('owner = ""\ncontact = "x"\n', "demo/route.toml: owner is missing or no text"),
        ('owner = 5\ncontact = "x"\n', "demo/route.toml: owner is missing or no text"),
        (
            WHO + 'phone = "1"\n',
            "demo/route.toml: unknown key 'phone', known are owner, contact, language, way_back_days, shop_schema, settings,",
        ),
        (WHO + "cutover = 5\n", r"demo/route.toml: cutover: it is a table: write it as `\[cutover\]`"),
        (RETENTION + "inactive = 5\n", "unknown key 'retention.inactive', known are "),
        (
            RETENTION + "inactive_since = 2021-01-01\n",
            "demo/route.toml: retention.inactive_decided_by is missing or no text: write who has decided that accounts",
        ),
        (
            RETENTION + 'inactive_since = 2021-01-01\ninactive_decided_by = " "\n',
            "retention.inactive_decided_by is missing",
        ),
        (RETENTION + 'inactive_decided_by = "Anna"\n', "retention.inactive_decided_by: decided what"),
        (
            RETENTION + 'inactive_since = "2021-01-01"\n',
            "retention.inactive_since: write a day that has been, without quot",
        ),
        (RETENTION + "inactive_since = 2021-01-01T00:00:00\n", "retention.inactive_since: write a day that has been"),
        (RETENTION + "inactive_since = 2999-01-01\n", "retention.inactive_since: write a day that has been"),
        (
            WHO + '[settings]\ninactive_since = "2021-01-01"\n',
            r"settings.inactive_since: it stands under \[retention\]",
        ),
        (WHO + "[optout]\nlists = []\n", "unknown key 'optout.lists', known are sources and waived_by"),
        (WHO + '[optout]\nsources = "klaviyo"\n', "optout.sources: it is a list of texts"),
        (WHO + '[optout]\nsources = ["a", "a"]\n', "optout.sources: 'a' stands there twice"),
        (WHO + '[optout.waived_by]\nklaviyo = "Anna"\n', "optout.waived_by.klaviyo: sources names no such list"),
        (WHO + '[optout]\nsources = ["a"]\nwaived_by = { a = "" }\n', "optout.waived_by.a is missing or no text"),
        (TERMS + "lag = 5\n", "unknown key 'cutover.lag', known are window, "),
        (TERMS + "verified_hours = 0\n", "cutover.verified_hours: write a number from 0.25 to 168, as `verified"),
        (TERMS + "verified_hours = nan\n", "cutover.verified_hours: write a number from 0.25 to 168"),
        (TERMS + "old_transaction_seconds = true\n", "cutover.old_transaction_seconds: write a number from 1 to 3600"),
        (
            TERMS + 'free_disk_gib = "2 GB"\n',
            "cutover.free_disk_gib: write a number of 0.1 or more, as `free_disk_gib = 2`",
        ),
        (WHO + "[cutover.disk_gib]\nbroker = 5\n", "unknown key 'cutover.disk_gib.broker', known are legacy and shop"),
        (WHO + "[cutover.disk_gib]\nshop = -1\n", "cutover.disk_gib.shop: write a number of 0.1 or more"),
        (
            WHO + "[cutover.quarantine]\nrows = 5\n",
            r"cutover.quarantine: it is a list of tables: begin each with `\[\[cutover",
        ),
        (ROWS + "rows = 5\n", r"cutover.quarantine\[1\].reason is missing or no text"),
        (ROWS + 'reason = "a"\nrows = 5\n', r"cutover.quarantine\[1\].who is missing or no text"),
        (ROWS + 'reason = "a"\nwho = "b"\n', r"cutover.quarantine\[1\].rows: write a whole number of 0 or more"),
        (ROWS + 'reason = "a"\nrows = 1.5\nwho = "b"\n', r"cutover.quarantine\[1\].rows: write a whole"),
        (WHO + ALLOWED * 2, r"cutover.quarantine\[2\].reason: 'a' stands there twice"),
        (NIGHT + "earliest = 01:00:00\nlatest = 02:00:00\n", "cutover.window.zone is missing or no text"),
        (NIGHT + 'earliest = 01:00:00\nlatest = 02:00:00\nzone = "Moon"\n', "no time zone is named 'Moon'"),
        (NIGHT + 'earliest = 01:00:00\nlatest = 02:00:00\nzone = "../x"\n', "no time zone is named '../x'"),
        (NIGHT + 'earliest = "01:00"\nzone = "UTC"\n', "cutover.window.earliest: write a time of day as `01:30:00`"),
        (NIGHT + 'earliest = 2026-11-29\nzone = "UTC"\n', "cutover.window.earliest: write a time of day"),
        (NIGHT + 'zone = "UTC"\n', "cutover.window: it wants two times of day"),
        (NIGHT + 'earliest = 01:00:00\nzone = "UTC"\n', "cutover.window: it wants two times of day"),
        (
            NIGHT + 'earliest = 01:00:00\nlatest = 2026-11-29T01:00:00\nzone = "UTC"\n',
            "cutover.window: it wants two times of day",
        ),
        (NIGHT + 'earliest = 01:00:00\nlatest = 01:00:00\nzone = "UTC"\n', "the window is never open"),
        (
            NIGHT + 'earliest = 2026-11-29T02:00:00\nlatest = 2026-11-29T02:30:00+02:00\nzone = "UTC"\n',
            "cutover.window.latest: the window is never open",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, text)


def test_periods_have_defaults_and_a_route_writes_what_it_decides_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path, WHO).retention == Retention(7, 30, 365, 30, 90, 1095, None)
    told = read(tmp_path, WHO + "[retention]\ntopics = 1.5\nexports = 14\nlegacy_until = 2027-06-30\n").retention
    assert told == Retention(topics=1.5, exports=14, legacy_until=date(2027, 6, 30))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("backups = 0", r"retention\.backups: write a number of 1 or more, as `backups = 30`"),
        ('reports = "long"', r"retention\.reports: write a number"),
        ("logs = 3", r"unknown key 'retention\.logs', known are topics, .* and legacy_until"),
        ('legacy_until = "2027-06-30"', r"retention\.legacy_until: write a day without quotation marks"),
        ("legacy_until = 2027-06-30T01:00:00", r"retention\.legacy_until: write a day"),
    ],
)
def test_a_period_that_is_none_is_refused_with_its_key(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, WHO + f"[retention]\n{line}\n")


PEOPLE = WHO + '[people]\ncare = "Anna"\nplatform = "Jan"\n'
STAGE = '[[stage]]\nname = "{}"\nfrom = {}\nuntil = {}\nwho = "{}"\n'
TRAINING = STAGE.format("training", "2026-11-02", "2026-11-20", "care") + 'told = ["platform", "the shops"]\n'
CUTOVER = STAGE.format("cutover", "2026-11-28", "2026-11-29", "platform")


def test_people_and_stages_are_told_with_their_names(tmp_path: Path) -> None:
    accepted = '[cutover.acceptance]\ncontacts = "care"\npoints = "the marketing team"\n'
    given = read(tmp_path, PEOPLE + accepted + TRAINING + CUTOVER)
    training, cutover = given.people.stages
    assert str(training) == "training, 2026-11-02 to 2026-11-20: Anna (care); told: Jan (platform), the shops"
    assert given.cutover.acceptance == {"contacts": "Anna (care)", "points": "the marketing team"}
    assert given.people.tell_stage(date(2026, 11, 20)).startswith("now training")
    assert given.people.tell_stage(date(2026, 11, 21)) == f"none now; next {cutover}"
    assert "cutover, was over on 2026-11-29" in given.people.tell_stage(date(2026, 12, 1))
    assert given.tell_people(datetime(2026, 11, 28, tzinfo=UTC)) == {
        "stage": "now cutover, 2026-11-28 to 2026-11-29: Jan (platform)",
        "people": "care Anna, platform Jan",
        "areas": "contacts Anna (care), points the marketing team",
    }


def test_today_is_the_day_where_the_cutover_is(tmp_path: Path) -> None:
    late = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)
    window = '[cutover.window]\nearliest = 01:00:00\nlatest = 04:00:00\nzone = "Europe/Warsaw"\n'
    assert read(tmp_path, PEOPLE + CUTOVER).tell_people(late)["stage"].startswith("none now")
    assert read(tmp_path, PEOPLE + window + CUTOVER).tell_people(late)["stage"].startswith("now cutover")


def test_a_route_without_people_tells_nothing_of_them(tmp_path: Path) -> None:
    assert read(tmp_path, WHO).tell_people(datetime.now(UTC)) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WHO + '[people]\nboss = "x"\n', "unknown key 'people.boss', known are owner, dpo, marketing"),
        (WHO + "[people]\ncare = 3\n", "people.care is missing or no text"),
        (WHO + CUTOVER, r"stage\[1\].who: \[people\] names no 'platform'.*they are none: write them"),
        (PEOPLE + STAGE.format("a", "2026-11-02", "2026-11-03", "dpo"), "names no 'dpo'.*they are care, platform"),
        (PEOPLE + STAGE.format("a", "2026-11-02", "2026-11-01", "care"), r"stage\[1\].until: stage 'a' ends before it"),
        (PEOPLE + CUTOVER + TRAINING, r"stage\[2\].from: stage 'training' begins on 2026-11-02, and stage 'cutover'"),
        (PEOPLE + TRAINING + TRAINING, r"stage\[2\].name: 'training' stands there twice"),
        (PEOPLE + STAGE.format("a", '"monday"', "2026-11-03", "care"), r"stage\[1\].from: write a day without"),
        (PEOPLE + TRAINING.replace("told", "telling"), r"unknown key 'stage\[1\].telling'"),
        (PEOPLE + '[stage]\nname = "x"\n', r"begin each with `\[\[stage\]\]`"),
    ],
)
def test_people_and_stages_that_are_wrong_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, text)
