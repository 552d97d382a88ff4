"""A route's own settings: `route.toml` beside its mappings says who answers for it and what its cutover asks for."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from shopferry.errors import ConfigError
from shopferry.route import people
from shopferry.route.people import People
from shopferry.route.toml_table import Table
from shopferry.settings import routes_dir

FILE = "route.toml"
INACTIVE_SINCE = "inactive_since"  # under [retention], and as mappings read it in ferry.setting
STORES = ("legacy", "shop")


@dataclass(frozen=True)
class Responsible:
    """Whom people may ask, and how to reach them; both empty where the route has no such file."""

    owner: str = ""
    contact: str = ""


@dataclass(frozen=True)
class Window:
    """When the cutover may begin: between two times of day of `zone`, also past midnight, or between two moments.

    Moments know their offset; one of the two may be None.
    """

    earliest: time | datetime | None
    latest: time | datetime | None
    zone: str

    def holds(self, now: datetime) -> bool:
        """Tell whether it is open at this moment, which must know its offset."""
        first, last = self.earliest, self.latest
        if isinstance(first, time) and isinstance(last, time):
            clock = now.astimezone(ZoneInfo(self.zone)).time()
            return first <= clock <= last if first <= last else clock >= first or clock <= last
        return (not isinstance(first, datetime) or first <= now) and (not isinstance(last, datetime) or now <= last)

    def __str__(self) -> str:
        zone = ZoneInfo(self.zone)
        shown = [
            f"{word} {bound:%H:%M}" if isinstance(bound, time) else f"{word} {bound.astimezone(zone):%Y-%m-%d %H:%M}"
            for word, bound in (("from", self.earliest), ("to", self.latest))
            if bound is not None
        ]
        return f"{' '.join(shown)} {self.zone}"


@dataclass(frozen=True)
class Allowance:
    """How many rows may stay in quarantine for one reason when the cutover comes, and who has said so."""

    reason: str
    rows: int
    who: str


@dataclass(frozen=True)
class Terms:
    """What the cutover asks for; the defaults hold where the file says nothing.

    `disk_gib` is how large the disk of a store is, where it cannot be looked up.
    """

    window: Window | None = None
    verified_hours: float = 24
    old_transaction_seconds: float = 60
    quarantine: Mapping[str, Allowance] = field(default_factory=dict)  # by reason
    free_disk_gib: float = 2
    disk_gib: Mapping[str, float] = field(default_factory=dict)  # by store
    way_back_losses_accepted_by: str | None = None  # who has accepted what the way back cannot carry
    way_back_quarantine: Mapping[str, Allowance] = field(
        default_factory=dict
    )  # what a rollback may leave behind, by reason
    optout_sources: tuple[str, ...] = ()  # lists of opt-outs that must have been imported lately
    optout_waived_by: Mapping[str, str] = field(default_factory=dict)  # by source, who has said that it need not be
    acceptance: Mapping[str, str] = field(default_factory=dict)  # by area, who accepts what was moved
    pairs_left_by: str | None = None  # who has said that pairs of accounts need not be decided


@dataclass(frozen=True)
class Retention:
    """How many days what the move itself keeps of people may stand, when legacy ends, and which accounts stay in it.

    None where the route does not say.
    """

    topics: float = 7  # at the broker; what is applied goes each night
    backups: float = 30  # from the day they are taken
    reports: float = 365
    exports: float = 30  # what people got who asked for their data
    quarantine: float = 90  # longer is complained of; nothing is deleted
    staff_names: float = 3 * 365  # in the audit log, from `finish` on
    legacy_until: date | None = None
    inactive_since: date | None = None  # accounts without a sign of life since then stay behind; None: all are carried
    inactive_decided_by: str = ""

    def tell_inactive(self) -> str:
        """Tell people what was decided about inactive accounts; empty where nothing was."""
        if self.inactive_since is None:
            return ""
        return (
            f"Accounts without a sign of life since {self.inactive_since} stay in the old shop, unless something of theirs is "
            f"open: decided by {self.inactive_decided_by}"
        )


@dataclass(frozen=True)
class Setting:
    """One setting of the installation: a value, or for a secret where it is kept, an environment variable or a file."""

    name: str
    value: str = ""
    env: str = ""
    file: str = ""

    @property
    def secret(self) -> bool:
        """Whether its value must not be shown."""
        return bool(self.env or self.file)

    def read(self) -> str:
        """Read its value. Raises ConfigError where it is kept nowhere."""
        if not self.secret:
            return self.value
        found = os.environ.get(self.env, "") if self.env else ""
        if self.file:
            try:
                found = Path(self.file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                found = ""
        if not found.strip():
            place = f"environment variable {self.env}" if self.env else f"file {self.file}"
            raise ConfigError(
                f"setting {self.name}: {place} is empty or not there: route.toml says that it is kept there"
            )
        return found.strip()


@dataclass(frozen=True)
class RouteSettings:
    """All that the file says."""

    responsible: Responsible = field(default_factory=Responsible)
    cutover: Terms = field(default_factory=Terms)
    way_back_days: float = 14  # how long after the switch the way back is promised
    shop_schema: str = "shop"  # where the new shop has its tables
    settings: tuple[Setting, ...] = ()  # of the installation, for mappings and functions
    retention: Retention = field(default_factory=Retention)
    people: People = field(default_factory=People)
    language: str = "en"  # of the pages

    def find_today(self, now: datetime) -> date:
        """Find the day it is where the cutover has its window; in UTC where it has none."""
        return now.astimezone(ZoneInfo(self.cutover.window.zone) if self.cutover.window else UTC).date()

    def tell_people(self, now: datetime) -> dict[str, str]:
        """Tell people which stage it is, who has which role, and who accepts which area; only what the route says."""
        told = {
            "stage": self.people.tell_stage(self.find_today(now)),
            "people": ", ".join(f"{role} {name}" for role, name in self.people.roles.items()),
            "areas": ", ".join(f"{area} {who}" for area, who in self.cutover.acceptance.items()),
        }
        return {label: text for label, text in told.items() if text}


def load(route: str, root: Path | None = None) -> RouteSettings:
    """Read the route's route.toml; without one all is as by default. Raises ConfigError naming the line or the key."""
    file = (root or routes_dir()) / route / FILE
    if not file.exists():
        return RouteSettings()
    where = f"{route}/{FILE}"
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f'{where} is no TOML: {error}; it wants `owner = "…"` and `contact = "…"`') from None
    top = Table(where, "", found)
    top.require_known(
        "owner",
        "contact",
        "language",
        "way_back_days",
        "shop_schema",
        "settings",
        "cutover",
        "optout",
        "retention",
        people.ROLES_TABLE,
        people.STAGES_TABLE,
    )
    known = people.read(top)
    return RouteSettings(
        Responsible(top.read_text("owner"), top.read_text("contact")),
        _read_terms(top.read_table("cutover"), top.read_table("optout"), known),
        top.read_number("way_back_days", RouteSettings.way_back_days, 0),
        top.read_text("shop_schema") if "shop_schema" in top.held else RouteSettings.shop_schema,
        tuple(_read_setting(top.read_table("settings"), name) for name in top.read_table("settings").held),
        _read_retention(top.read_table("retention")),
        known,
        _read_language(top),
    )


def _read_language(top: Table) -> str:
    if "language" not in top.held:
        return RouteSettings.language
    # Loading the catalogues' library takes a moment, which a command without pages need not wait for.
    from shopferry.pages.languages import LANGUAGES

    code = top.read_text("language")
    if code not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise top.make_error("language", f"the pages are not in {code!r}: write one of {known}")
    return code


def _read_retention(given: Table) -> Retention:
    periods = ("topics", "backups", "reports", "exports", "quarantine", "staff_names")
    given.require_known(*periods, INACTIVE_SINCE, "inactive_decided_by", "legacy_until")
    until = given.read_day("legacy_until") if "legacy_until" in given.held else None
    days = {period: given.read_number(period, getattr(Retention, period), 1) for period in periods}
    since = _read_inactive_since(given)
    who = given.read_text("inactive_decided_by") if since else ""
    return Retention(**days, legacy_until=until, inactive_since=since, inactive_decided_by=who)


def _read_inactive_since(given: Table) -> date | None:
    """Read the day, which lies in the past and is decided by a name; None where neither is there."""
    since = given.held.get(INACTIVE_SINCE)
    if since is None:
        if "inactive_decided_by" in given.held:
            raise given.make_error(
                "inactive_decided_by", f"decided what? Add the day, as `{INACTIVE_SINCE} = 2021-01-01`"
            )
        return None
    if not isinstance(since, date) or isinstance(since, datetime) or since > datetime.now(UTC).date():
        raise given.make_error(
            INACTIVE_SINCE, f"write a day that has been, without quotation marks, as `{INACTIVE_SINCE} = 2021-01-01`"
        )
    given.read_text(
        "inactive_decided_by",
        'who has decided that accounts without a sign of life since then stay behind, as `inactive_decided_by = "…"`',
    )
    return since


def _read_setting(given: Table, name: str) -> Setting:
    if name == INACTIVE_SINCE:
        raise given.make_error(name, "it stands under [retention], with inactive_decided_by")
    value = given.held[name]
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return Setting(name, str(value))
    kept = given.read_table(name)
    kept.require_known("env", "file")
    if len(kept.held) != 1:
        raise given.make_error(name, f'a secret is kept in one place: `{name} = {{ env = "…" }}` or `{{ file = "…" }}`')
    return Setting(name, **{word: kept.read_text(word) for word in kept.held})


def _read_terms(given: Table, optout: Table, known: People) -> Terms:
    optout.require_known("sources", "waived_by")
    sources = optout.read_texts("sources")
    waived = optout.read_table("waived_by")
    for source in waived.held:
        if source not in sources:
            raise waived.make_error(source, "sources names no such list: waive only what is asked for")
    given.require_known(
        "window",
        "verified_hours",
        "old_transaction_seconds",
        "quarantine",
        "free_disk_gib",
        "disk_gib",
        "way_back_losses_accepted_by",
        "way_back_quarantine",
        "acceptance",
        "pairs_left_by",
    )
    areas = given.read_table("acceptance")
    sizes = given.read_table("disk_gib")
    sizes.require_known(*STORES)
    return Terms(
        window=_read_window(given.read_table("window")) if "window" in given.held else None,
        verified_hours=given.read_number("verified_hours", Terms.verified_hours, 0.25, 24 * 7),
        old_transaction_seconds=given.read_number("old_transaction_seconds", Terms.old_transaction_seconds, 1, 3600),
        quarantine=_read_allowances(given, "quarantine"),
        free_disk_gib=given.read_number("free_disk_gib", Terms.free_disk_gib, 0.1),
        disk_gib={store: sizes.read_number(store, None, 0.1) for store in sizes.held},
        way_back_losses_accepted_by=(
            given.read_text("way_back_losses_accepted_by") if "way_back_losses_accepted_by" in given.held else None
        ),
        way_back_quarantine=_read_allowances(given, "way_back_quarantine"),
        optout_sources=sources,
        pairs_left_by=given.read_text("pairs_left_by") if "pairs_left_by" in given.held else None,
        acceptance={area: known.name(areas.read_text(area)) for area in areas.held},
        optout_waived_by={source: waived.read_text(source) for source in waived.held},
    )


def _read_allowances(given: Table, key: str) -> dict[str, Allowance]:
    allowed: dict[str, Allowance] = {}
    for entry in given.read_tables(key):
        entry.require_known("reason", "rows", "who")
        reason = entry.read_text("reason")
        if reason in allowed:
            raise entry.make_error("reason", f"{reason!r} stands there twice: leave one")
        allowed[reason] = Allowance(reason, int(entry.read_number("rows", None, 0, whole=True)), entry.read_text("who"))
    return allowed


def _read_window(given: Table) -> Window:
    given.require_known("earliest", "latest", "zone")
    zone = given.read_text("zone", 'the time zone these times are of, as `zone = "Europe/Warsaw"`')
    try:
        here = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise given.make_error(
            "zone", f"no time zone is named {zone!r}: write one like `Europe/Warsaw` or `UTC`"
        ) from None
    bounds = {key: given.held[key] for key in ("earliest", "latest") if key in given.held}
    for key, bound in bounds.items():
        if not isinstance(bound, (time, datetime)):
            raise given.make_error(
                key,
                "write a time of day as `01:30:00` or a moment as `2026-11-29T01:30:00`, both without quotation marks",
            )
    kinds = {type(bound) for bound in bounds.values()}
    if not bounds or len(kinds) > 1 or (kinds == {time} and len(bounds) < 2):
        raise given.make_error(
            "", "it wants two times of day, earliest and latest, or moments, of which one may be left out"
        )
    first, last = (
        bound.replace(tzinfo=here) if isinstance(bound, datetime) and bound.tzinfo is None else bound
        for bound in (bounds.get("earliest"), bounds.get("latest"))
    )
    if first == last or (isinstance(first, datetime) and isinstance(last, datetime) and first > last):
        raise given.make_error("latest", "the window is never open: latest must come after earliest")
    return Window(first, last, zone)
