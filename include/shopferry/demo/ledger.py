"""Was everything that was acknowledged kept? Looks up every fact of the writer's ledger in both stores.

A fact names a row and what it must hold, or that it must be gone. A later fact on the same row and column takes the
place of an earlier one, across the switches too: what one store acknowledged is followed into the row that carries it in
the other. A legacy row that the shop does not hold must stand in quarantine or be left out by a named rule; a row of the
shop that is there no more must be accounted for in the same way by the legacy row it has become.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shopferry import db
from shopferry.settings import SQL_ROOT

_CARRIED_BY: Final = {
    "customers": "customer",
    "addresses": "customer_address",
    "consents": "consent",
    "orders": "customer_order",
    "order_items": "order_line",
    "order_status_log": "order_event",
    "order_invoices": "order_invoice",
    "loyalty_accounts": "loyalty_account",
    "loyalty_log": "loyalty_entry",
    "loyalty_redemptions": "loyalty_redemption",
    "loyalty_rewards": "loyalty_reward",
    "promotions": "promotion",
}
_LED_BACK_TO: Final = {shop: legacy for legacy, shop in _CARRIED_BY.items()}
_LED_BY_NUMBER: Final = {"customer", "customer_address", "consent", "loyalty_entry"}  # all others keep their keys
_WITH_OTHERS: Final = {"customer": ("email", "blocked"), "consent": ()}  # what rows follow that do not decide
_GONE = "gone"
_LEFT = "deleted"  # the column by which a customer has left
_OVERRULED = "overruled"  # told of a consent of the shop that a declared yes did not make granted
_AROUND_S = 5.0  # how long before and after the switch gaps count as the switch's
_QUERIES = db.load_queries(SQL_ROOT / "demo" / "ledger.sql")

Row = tuple[str, int]  # table, id


@dataclass(frozen=True)
class LedgerReport:
    """What the ledger says of the move; `missing` names `<write>:<store>.<table>/<id>` and the column."""

    acknowledged: int
    missing: list[str]
    failed_for_the_user: int
    longest_write_ms: float
    longest_gap_ms: float


@dataclass(frozen=True)
class _Expected:
    """What one row must hold: column → (value, write); the column `gone` stands for its absence."""

    columns: dict[str, tuple[Any, str]]

    @property
    def gone(self) -> bool:
        return _GONE in self.columns


def read(path: Path) -> list[dict[str, Any]]:
    """Read all records of a ledger file; an unfinished last line (the writer was killed) is no record."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def check(path: Path, legacy: db.Connection, shop: db.Connection) -> LedgerReport:
    """Look up every acknowledged write in legacy, in the new shop, or in its quarantine and left-out rows.

    To be called when all is applied in both directions. The connections are only read from.
    """
    records = read(path)
    acknowledged = [r for r in records if r["acknowledged"] is not None]
    # One worker changes a row, and another may have made it: then a change may be noted before what made the row. So the order
    # is that of the transactions' numbers, which no clock sets back. A store switched to is later than the one before; 0 and 1
    # are legacy's versions, before and after the route is installed.
    acknowledged.sort(key=lambda r: (max(r["version"], 1), r["xact"]))
    expectations = _Expectations(_Kinship.read(acknowledged, legacy, shop))
    for record in acknowledged:
        for fact in record["facts"]:
            expectations.take(record["store"], record["write"], *fact)
    expectations.forget(_find_erased(legacy))
    dropped = {(t, i) for r in acknowledged for t, i, *_ in r["facts"] if t.startswith("@")}
    return LedgerReport(
        acknowledged=len(acknowledged),
        missing=sorted(expectations.find_missing(legacy, shop, dropped)),
        failed_for_the_user=len(records) - len(acknowledged),
        longest_write_ms=max((r["ms"] for r in records), default=0.0),
        longest_gap_ms=find_longest_gap_ms(records),
    )


@dataclass(frozen=True)
class _Kinship:
    """Which rows of the two stores stand for one another, for the rows of which the ledger has facts."""

    carried: dict[Row, Row]  # legacy row → the shop row that carries it
    back: dict[Row, list[Row]]  # shop row → the legacy rows that it is led back to, the one that decides first
    ended: dict[Row, list[Row]]  # declaration → the others that ended with it
    flagged: dict[Row, list[Row]]  # consent to the newsletter → the accounts whose flags it is made of

    @classmethod
    def read(cls, acknowledged: list[dict[str, Any]], legacy: db.Connection, shop: db.Connection) -> _Kinship:
        """Read it from both stores for these records."""
        of_shop = [fact for r in acknowledged if r["store"] == "shop" for fact in r["facts"]]
        legacy_rows = {(t, i) for r in acknowledged if r["store"] == "legacy" for t, i, *_ in r["facts"]}
        deciding = {(_LED_BACK_TO[t], key) for t, _, _, *keys in of_shop if t in _LED_BY_NUMBER for key in keys if key}
        consents = [(i, *keys) for t, i, _, *keys in of_shop if t == "consent"]
        return cls(
            carried=_find_carried(shop, sorted(legacy_rows | deciding)),
            back=_find_led_back(shop, {(t, i) for t, i, *_ in of_shop if t[0] != "@"}),
            ended=_find_ended(legacy, {key for _, *keys in consents for key in keys if key}),
            flagged=_find_flagged(shop, {i for i, *_ in consents}),
        )


@dataclass
class _Expectations:
    """What each row of the two stores must hold after the facts that were taken, in their order."""

    kin: _Kinship
    in_legacy: dict[Row, _Expected] = field(default_factory=dict)
    in_shop: dict[Row, _Expected] = field(default_factory=dict)
    became: dict[Row, Row] = field(default_factory=dict)
    standing_for: dict[Row, set[Row]] = field(default_factory=dict)  # the other way round, of all that it once became
    # Of a part of a legacy row (its billing address): made new, under another number, by each merge.
    derived: set[Row] = field(default_factory=set)

    def take(
        self, store: str, write: str, table: str, key: int, columns: dict[str, Any] | None, *legacy_key: int | None
    ) -> None:
        """Take one fact: what a row must hold, or, without columns, that it must be gone.

        `legacy_key` is that of the legacy row which the shop's row has become; None where there is none.
        """
        row = (table, key)
        if store == "legacy":
            self._take_of_legacy(row, columns, write)
        elif table.startswith("@"):
            _expect(self.in_legacy, (table[1:], key), None, write)
        else:
            led_to = legacy_key[0] if legacy_key else None if table in _LED_BY_NUMBER else key
            if led_to is not None:
                self.became[row] = (_LED_BACK_TO[table], led_to)
                self.standing_for.setdefault(self.became[row], set()).add(row)
            elif legacy_key:
                self.derived.add(row)
            self._take_of_shop(row, columns, write)

    def forget(self, erased: set[tuple[str, str, int]]) -> None:
        """Forget rows, as store, table and key: somebody who asked for it was erased, and holds nothing any more."""
        for expected, store in ((self.in_legacy, "legacy"), (self.in_shop, "shop")):
            for row in [row for row in expected if (store, *row) in erased]:
                del expected[row]

    def _take_of_legacy(self, row: Row, columns: dict[str, Any] | None, write: str) -> None:
        _expect(self.in_legacy, row, columns, write)
        if row in self.kin.carried:
            _expect(self.in_shop, self.kin.carried[row], columns, write)
        if columns and columns.get(_LEFT):
            # A customer who has left is no more in the shop; what stands there under the number is another account's.
            for shop_row in self.standing_for.get(row, ()):
                if self.became[shop_row] == row:
                    self.in_shop.pop(shop_row, None)

    def _take_of_shop(self, row: Row, columns: dict[str, Any] | None, write: str) -> None:
        first, carried = self.became.get(row), self.kin.carried
        _expect_in_shop(self.in_shop, row, columns, write, carried.get(first, row) if first else row)
        _expect_back(self.in_legacy, row, columns, write, self.kin.back.get(row, []), first)
        if columns == {"state": "withdrawn"}:
            for account in self.kin.flagged.get(row, ()):
                _expect(self.in_legacy, account, {"newsletter": False}, write)
            for declared in self.kin.ended.get(first, ()) if first else ():  # granted before
                self.in_legacy.pop(declared, None)
                if declared in carried:
                    _expect(self.in_shop, carried[declared], columns, write)

    def find_missing(self, legacy: db.Connection, shop: db.Connection, dropped: set[Row]) -> list[str]:
        """List a line for each fact that does not hold in the store where it must; `dropped` are rows that legacy lost."""
        missing = _list_differing("legacy", self.in_legacy, _read_held(legacy, "legacy", self.in_legacy))
        held = _read_held(shop, "shop", self.in_shop)
        absent = {
            row: self.became[row]
            for row, e in self.in_shop.items()
            if row not in held and not e.gone and row in self.became
        }
        still_there = set(_read_held(legacy, "legacy", absent.values()))
        excused = _find_accounted(shop, absent.values()) | (set(absent.values()) - still_there)
        followed = {
            row: e
            for row, e in self.in_shop.items()
            if absent.get(row) not in excused and (row in held or row not in self.derived)
        }
        for row in absent.keys() & followed.keys():
            if (carrying := self.kin.carried.get(absent[row], row)) != row:
                # It is another customer's since an account left, under another number; what was written there is later.
                columns = followed.pop(row).columns
                followed[carrying] = _Expected(columns | self.in_shop.get(carrying, _Expected({})).columns)
        held |= _read_held(shop, "shop", followed.keys() - held.keys())
        return missing + _list_differing("shop", followed, held) + self._find_lost(shop, dropped)

    def _find_lost(self, shop: db.Connection, dropped: set[Row]) -> list[str]:
        """List a line for each legacy row that is neither in the shop nor accounted for there."""
        led = {row for rows in (*self.kin.back.values(), *self.kin.flagged.values()) for row in rows}
        lost = {
            row: e
            for row, e in self.in_legacy.items()
            if row not in self.kin.carried
            and row not in led
            and not e.gone
            and (f"@{row[0]}", row[1]) not in dropped
            and not _is_expected_gone(self.in_shop, row)
        }
        accounted = _find_accounted(shop, lost)
        return [
            f"{write}:legacy.{table}/{key} is neither carried into the shop nor accounted for"
            for (table, key), e in lost.items()
            if (table, key) not in accounted
            for write in [next(iter(e.columns.values()))[1]]
        ]


def find_longest_gap_ms(records: Iterable[dict[str, Any]]) -> float:
    """Find the longest time around a change of store in which no write was acknowledged, or one had to wait; 0 without one."""
    return max((gap for _, gap in find_gaps_ms(records)), default=0.0)


def find_gaps_ms(records: Iterable[dict[str, Any]]) -> list[tuple[str, float]]:
    """Find how long each change of store kept writes waiting, in order: the store that was opened, and a time.

    It is the longest within five seconds of the change in which no write was acknowledged, or one had to wait.
    """
    done = sorted((r for r in records if r["acknowledged"]), key=lambda r: r["acknowledged"])
    switches = [(b["store"], b["acknowledged"]) for a, b in itertools.pairwise(done) if a["version"] < b["version"]]
    pairs = list(itertools.pairwise(done))
    found = []
    for store, at in switches:
        near = [(a, b) for a, b in pairs if abs(b["acknowledged"] - at) <= _AROUND_S]
        found.append(
            (store, round(max(max((b["acknowledged"] - a["acknowledged"]) * 1000, b["ms"]) for a, b in near), 1))
        )
    return found


def _expect(expected: dict[Row, _Expected], row: Row, columns: dict[str, Any] | None, write: str) -> None:
    if columns is None:
        expected[row] = _Expected({_GONE: (True, write)})
    else:
        held = expected.setdefault(row, _Expected({})).columns
        held.update({name: (value, write) for name, value in columns.items()})


def _expect_in_shop(
    in_shop: dict[Row, _Expected], row: Row, columns: dict[str, Any] | None, write: str, carrying: Row
) -> None:
    """Note what the shop must hold after a write to it; `carrying` is the row that carries now what was led back.

    They are two when legacy has parted since what was one account: what was written went with the customer it was led
    back to, under another number, and with the row that stays only what all had followed.
    """
    if columns is None or carrying == row or row[0] != "customer":
        _expect(in_shop, row, columns, write)
        return
    _expect(in_shop, carrying, columns, write)
    if stays := {name: value for name, value in columns.items() if name in _WITH_OTHERS["customer"]}:
        _expect(in_shop, row, stays, write)


def _expect_back(
    in_legacy: dict[Row, _Expected],
    row: Row,
    columns: dict[str, Any] | None,
    write: str,
    rows: list[Row],
    first: Row | None,
) -> None:
    """Note what legacy must hold after a write to the new shop: in the row that it was led back to first, and in others."""
    table, key = row
    if columns is None:
        if table not in _LED_BY_NUMBER:
            _expect(in_legacy, (_LED_BACK_TO[table], key), None, write)
        return
    if first is None:
        if not rows:
            return
        first = rows[0]
    for other in (r for r in rows if r != first):
        follows = {name: value for name, value in columns.items() if name in _WITH_OTHERS.get(table, columns)}
        if follows:
            _expect(in_legacy, other, follows, write)
        elif table == "consent":
            in_legacy.pop(other, None)  # declarations before: which of them this one ended, their own rows tell
    _expect(in_legacy, first, columns, write)


def _is_expected_gone(in_shop: dict[Row, _Expected], legacy_row: Row) -> bool:
    """Tell whether the shop deleted, after the switch, the row that has the legacy row's own key."""
    shop_row = in_shop.get((_CARRIED_BY[legacy_row[0]], legacy_row[1]))
    return (
        shop_row is not None
        and shop_row.gone
        and legacy_row[0] not in {"customers", "addresses", "consents", "loyalty_log"}
    )


def _group_by_table(rows: Iterable[Row]) -> dict[str, list[int]]:
    tables: dict[str, list[int]] = {}
    for table, key in rows:
        tables.setdefault(table, []).append(key)
    return tables


def _find_carried(shop: db.Connection, rows: Iterable[Row]) -> dict[Row, Row]:
    """Find for each legacy row that is carried the shop row that carries it."""
    return {
        (table, legacy_key): (_CARRIED_BY[table], shop_key)
        for table, keys in _group_by_table(rows).items()
        for legacy_key, shop_key in shop.execute(_QUERIES[f"carried.{table}"], {"ids": keys}).fetchall()
    }


def _find_led_back(shop: db.Connection, rows: Iterable[Row]) -> dict[Row, list[Row]]:
    """Find for each shop row the legacy rows that it is led back to, the one that decides first."""
    found: dict[Row, list[Row]] = {}
    for table, keys in _group_by_table(rows).items():
        old = _LED_BACK_TO[table]
        if table not in _LED_BY_NUMBER:
            found |= {(table, key): [(old, key)] for key in keys}
            continue
        for key, legacy_keys in shop.execute(_QUERIES[f"back.{table}"], {"ids": keys}).fetchall():
            found[table, key] = [(old, k) for k in dict.fromkeys(legacy_keys)]
    return found


def _find_flagged(shop: db.Connection, consents: Iterable[int]) -> dict[Row, list[Row]]:
    """Find for each consent to the newsletter the accounts whose flags it is made of, and is led back to."""
    rows = shop.execute(_QUERIES["back.newsletter"], {"ids": list(consents)}).fetchall()
    return {("consent", key): [("customers", account) for account in accounts] for key, accounts in rows}


def _find_ended(legacy: db.Connection, consents: Iterable[int]) -> dict[Row, list[Row]]:
    """Find for each declaration the others that ended with it, which the shop does not tell once accounts left or parted."""
    rows = legacy.execute(_QUERIES["ended.consents"], {"ids": list(consents)}).fetchall()
    return {("consents", key): [("consents", other) for other in others] for key, others in rows}


def _read_held(store: db.Connection, name: str, rows: Iterable[Row]) -> dict[Row, dict[str, Any]]:
    """Read what the store holds of each row, for the rows that are there."""
    return {
        (table, key): values
        for table, keys in _group_by_table(rows).items()
        for key, values in store.execute(_QUERIES[f"{name}.{table}"], {"ids": keys}).fetchall()
    }


def _find_erased(legacy: db.Connection) -> set[tuple[str, str, int]]:
    """Find the rows that requests have erased in either store, as store, table and key."""
    if not db.exists(legacy, "shopferry.erased"):
        return set()
    return {(*relation.split("."), key) for relation, key in legacy.execute(_QUERIES["erased"]).fetchall()}


def _find_accounted(shop: db.Connection, rows: Iterable[Row]) -> set[Row]:
    """Find the legacy rows that stand in quarantine or are left out by a named rule."""
    return {
        (table, key)
        for table, keys in _group_by_table(rows).items()
        for (key,) in shop.execute(
            _QUERIES["accounted"], {"entity": f"shop.{_CARRIED_BY[table]}", "keys": [str(k) for k in keys]}
        ).fetchall()
    }


def _list_differing(store: str, expected: dict[Row, _Expected], found: dict[Row, dict[str, Any]]) -> list[str]:
    """List a line for each fact that does not hold."""
    lines = []
    for (table, key), wanted in expected.items():
        held = found.get((table, key))
        for column, (value, write) in wanted.columns.items():
            if column == _GONE:
                if held is not None:
                    lines.append(f"{write}:{store}.{table}/{key} is still there")
            elif held is None:
                lines.append(f"{write}:{store}.{table}/{key} {column} is missing")
            elif held.get(column) != value and not (value == "granted" and held.get(_OVERRULED)):
                lines.append(f"{write}:{store}.{table}/{key} {column} differs")
    return lines
