"""The DAGs: what must hold of every one of them, and one passage through the real Airflow."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from airflow_api import Api
from own_shop import write_route
from pair import Pair, read_dsn
from shopferry import db, stack
from shopferry.control import rehearsals, requests
from shopferry.control.activations import Latest
from shopferry.control.audits import Value
from shopferry.control.requests import Opening, Request
from shopferry.cutover.close_out import Keeper
from shopferry.demo import leaks
from shopferry.demo import shop as demo_shop
from shopferry.errors import ConfigError, GateError, TransientError
from shopferry.insight import activation_file, audits
from shopferry.insight.push import Receiver
from shopferry.kafka_security import KafkaSecurity
from shopferry.pages import languages
from shopferry.rehearsal import note
from shopferry.route.route import Route
from shopferry.settings import PROJECT, Settings, data_dir
from shopferry.stack import airflow as embedded
from stacks import EMPTY, SharedStack

pytestmark = pytest.mark.airflow

PHASES = Route.load("demo").phases
ENGLISH = languages.load("en")
SWITCHES = ("cutover", "rollback")
DAILY = ("watch_sync", "verify", "audit", "tick", "activate", "keep_clean")
EVERY = (*PHASES, *DAILY, "rehearse", "privacy_request", *SWITCHES, "finish")


ALONE = """
SELECT c.id, c.legacy_customer_id FROM shop.customer c
WHERE c.legacy_customer_id IS NOT NULL AND EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = c.id)
  AND (SELECT count(*) FROM ferry.identity i WHERE i.entity = 'customer' AND i.shop_key = c.id) = 1
  AND NOT EXISTS (SELECT FROM shop.loyalty_account l WHERE l.customer_id = c.id AND l.balance > 0)
  AND NOT EXISTS (SELECT FROM shop.loyalty_reward r WHERE r.customer_id = c.id AND r.state = 'open')
  AND NOT EXISTS (SELECT FROM shop.customer_order o WHERE o.customer_id = c.id AND o.status IN ('pending', 'paid', 'shipped'))
ORDER BY c.id LIMIT 1
"""


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    """Every DAG by its id, parsed as Airflow parses dags/."""
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="shopferry-airflow-"))  # its defaults go to ~ else
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_each_file_is_one_dag(dags: dict[str, Any]) -> None:
    assert sorted(dags) == sorted(EVERY)
    files = {f.stem for f in (PROJECT / "dags").glob("*.py")}
    assert files == {"phases", *EVERY} - set(PHASES)


def test_a_route_of_other_phases_gets_its_dags_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shopferry.orchestration.phase import build_phase_dags

    mapping = "-- entity: shop.{0}\n-- key: id\n-- scope: id\n-- source: legacy.{0}s(id)\n-- after: {1}\nSELECT 1 AS id"
    files = {
        "people/person.sql": mapping.format("person", "").replace("-- after: \n", ""),
        "deeds/deed.sql": mapping.format("deed", "people/person"),
    }
    write_route(tmp_path, files)
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    monkeypatch.setenv("SHOPFERRY_ROUTE", "own")
    made = build_phase_dags()
    assert list(made) == ["people", "deeds"]
    assert [a.name for a in made["deeds"].timetable.asset_condition.objects] == ["people_verified"]
    assert "reads `deeds` in the legacy store and writes `shop.deed`" in str(made["deeds"].doc_md)
    assert "It is started by hand." in str(made["people"].doc_md)
    write_route(tmp_path, {"verify/other.sql": mapping.format("other", "people/person")})
    with pytest.raises(ConfigError, match="route own: a DAG is called verify already: rename the phase's folder"):
        build_phase_dags()


@pytest.mark.parametrize("name", EVERY)
def test_every_dag_says_whose_it_is_and_what_to_do(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    assert {t.owner for t in dag.tasks} <= {"platform", "oncall"}
    assert "shopferry" in dag.tags
    assert dag.description
    page = "phase" if name in PHASES else name  # all phases share one runbook
    assert dag.doc_md.endswith((PROJECT / "docs" / "runbooks" / f"{page}.md").read_text())
    assert dag.max_active_runs == (4 if name == "activate" else 1)  # one of its runs may wait for an approval
    assert not dag.catchup
    assert all(t.doc_md for t in dag.tasks if not t.task_id.startswith("approve"))


@pytest.mark.parametrize("name", EVERY)
def test_one_retry_policy_for_all(dags: dict[str, Any], name: str) -> None:
    from shopferry.orchestration.failures import ReasonedRetryPolicy

    for task in dags[name].tasks:
        assert isinstance(task.retry_policy, ReasonedRetryPolicy)
        assert task.retries == (1 if name == "watch_sync" else 5)
        assert isinstance(task.retry_exponential_backoff, float)


@pytest.mark.parametrize("name", EVERY)
def test_the_form_takes_its_own_defaults(dags: dict[str, Any], name: str) -> None:
    dags[name].params.validate()


@pytest.mark.parametrize(
    "given",
    [{"chunk_size": 99}, {"sample": 0}, {"rows_per_second": 1}, {"chunk_size": "many"}, {"without_rehearsal": ""}],
)
def test_the_form_has_bounds(dags: dict[str, Any], given: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for name, value in given.items():
        with pytest.raises(ParamValidationError):
            dags["contacts"].params.get_param(name).resolve(value)


def test_a_phase_takes_its_steps_in_order(dags: dict[str, Any]) -> None:
    later = ["assess", "plan", "copy", "standardize", "merge", "await_sync", "verify", "publish"]
    for phase in PHASES:
        # Only ahead of the first merge can the new shop's own rows be told from ours.
        steps = ["assess", "back_up", *later[1:]] if phase == PHASES[0] else later
        for first, then in pairwise(steps):
            assert dags[phase].get_task(first).downstream_task_ids == {then}
        assert dags[phase].get_task("copy").pool == "legacy_load"
        assert dags[phase].get_task("merge").pool == "shop_load"
        assert dags[phase].on_failure_callback


def test_each_phase_is_started_by_the_one_before(dags: dict[str, Any]) -> None:
    assert not dags[PHASES[0]].timetable.can_be_scheduled
    for before, phase in pairwise(PHASES):
        [published] = dags[before].get_task("publish").outlets
        [awaited] = dags[phase].timetable.asset_condition.objects
        assert awaited == published


@pytest.mark.parametrize("name", SWITCHES)
def test_the_switch_is_a_persons_decision(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    assert {str(t.value) for t in dag.allowed_run_types} == {"manual"}
    approve = dag.get_task("approve")
    assert approve.fail_on_reject
    assert approve.defaults is None  # a default would answer for nobody
    assert approve.response_timeout is None
    if name == "cutover":
        for first, then in pairwise(("back_up", "arm", "gates")):
            assert dag.get_task(first).downstream_task_ids == {then}
    else:
        assert dag.get_task("gates").downstream_task_ids == {"approve"}
        assert dag.get_task("roll_back").downstream_task_ids >= {"merge_again"}
    [critical] = approve.downstream_task_ids - {"report"}
    assert critical in {"cut_over", "roll_back"}


def test_the_end_is_two_peoples_decision(dags: dict[str, Any]) -> None:
    dag = dags["finish"]
    assert {str(t.value) for t in dag.allowed_run_types} == {"manual"}
    for first, then in pairwise(("check", "report", "approve_first", "approve_second", "finish")):
        assert then in dag.get_task(first).downstream_task_ids
    for name in ("approve_first", "approve_second"):
        assert dag.get_task(name).fail_on_reject
        assert dag.get_task(name).defaults is None
        assert dag.get_task(name).response_timeout is None


def test_an_erasure_is_a_persons_decision_about_a_number(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags["privacy_request"]
    assert {str(t.value) for t in dag.allowed_run_types} == {"manual"}
    for first, then in pairwise(("check", "approve", "erase")):
        assert dag.get_task(first).downstream_task_ids == {then}
    approve = dag.get_task("approve")
    assert approve.fail_on_reject
    assert approve.defaults is None
    assert approve.response_timeout is None
    assert list(dag.params) == ["number"]
    for given in ("ewa@example.com", "7", 0, 1.5):
        with pytest.raises(ParamValidationError):
            dag.params.get_param("number").resolve(given)


def test_the_page_of_requests_has_those_that_are_late_at_the_top(dags: dict[str, Any]) -> None:
    from shopferry.orchestration import requests_page

    def make(number: int, due: date, kind: str = "erasure", closed: datetime | None = None) -> Request:
        state = "done" if closed else "granted"
        return Request(
            number, kind, due - timedelta(31), due, "anna", "passport", state, "dpo", None, None, None, closed, None
        )

    today = date(2026, 3, 20)
    found = [
        make(1, date(2026, 4, 1)),
        make(2, date(2026, 3, 10), "access"),
        make(3, date(2026, 3, 20), "objection"),
        make(4, date(2026, 1, 1), closed=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    page = requests_page.render("demo", ENGLISH, found, today)
    for words in ("1 request is late", "late by 10 days", "due today", "12 days left", "shopferry request run 2"):
        assert words in page
    for words in ("shopferry request close 3", "DAG privacy_request"):
        assert words in page
    numbers = [int(n) for n in re.findall(r"<td><b>(\d+)</b></td>", page)]
    assert numbers == [2, 3, 1, 4]
    assert page.count('class="late"') == 1
    assert "passport" not in page
    assert "Nothing is waiting." in requests_page.render("demo", ENGLISH, found[3:], today)


def test_audits_run_daily_and_after_each_phase(dags: dict[str, Any]) -> None:
    dag = dags["audit"]
    assert {a.name for a in dag.timetable.asset_condition.objects} == {f"{p}_verified" for p in PHASES}
    assert dag.timetable.timetable.expression == "0 5 * * *"
    assert dag.get_task("count").downstream_task_ids == {"tell"}


def test_each_activation_is_counted_and_only_a_first_run_asks_for_an_approval(dags: dict[str, Any]) -> None:
    dag = dags["activate"]
    names = [a.name for a in activation_file.load(Route.load("demo"))]
    assert len(names) == 3
    assert {t.task_id for t in dag.tasks} == {f"{w}_{n}" for w in ("count", "approve", "hand_over") for n in names}
    assert dag.timetable.expression == "0 6 * * *"
    for name in names:
        assert dag.get_task(f"count_{name}").downstream_task_ids == {f"approve_{name}", f"hand_over_{name}"}
        approve = dag.get_task(f"approve_{name}")
        assert approve.downstream_task_ids == {f"hand_over_{name}"}
        assert approve.defaults is None and approve.fail_on_reject, "silence is no answer"
        assert approve.response_timeout < timedelta(days=1), "an answer that does not come holds up no other recipient"
        assert dag.get_task(f"hand_over_{name}").trigger_rule == "none_failed_min_one_success"


@pytest.mark.parametrize(
    ("schedule", "hours", "due"),
    [
        ("daily at 6", None, True),
        ("daily at 6", 23, True),  # the run before was late
        ("daily at 6", 1, False),
        ("weekly, on Mondays", 24 * 6, False),
        ("weekly, on Mondays", 24 * 7 - 1, True),
        ("monthly", 24 * 29, False),
        ("monthly", 24 * 30, True),
        ("by hand, before a campaign", None, False),
        ("by hand, before a campaign", 24 * 900, False),
    ],
)
def test_an_activation_is_due_by_its_days(dags: dict[str, Any], schedule: str, hours: int | None, due: bool) -> None:
    from shopferry.orchestration import activating

    now = datetime(2026, 3, 20, 6, tzinfo=UTC)
    one = replace(activation_file.load(Route.load("demo"))[0], schedule=schedule)
    last = None if hours is None else Latest(one.name, 3, now - timedelta(hours=hours), "test", None, 9)
    assert activating.is_due(one, last, None, now) is due
    assert activating.is_due(one, last, one.name, now), "who names it has it run"
    assert not activating.is_due(one, last, "another", now)


def test_a_webhooks_address_and_secret_are_a_connection_of_airflow(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopferry.orchestration.connections import load_receiver

    with pytest.raises(ConfigError, match="connection 'activate_crm' is not set"):
        load_receiver("activate_crm")
    given: dict[str, Any] = {"conn_type": "http", "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_ACTIVATE_CRM", json.dumps(given))
    with pytest.raises(ConfigError, match="has no url in its extra"):
        load_receiver("activate_crm")
    given["extra"] = {"url": "https://crm.example.com/people"}
    monkeypatch.setenv("AIRFLOW_CONN_ACTIVATE_CRM", json.dumps(given))
    assert load_receiver("activate_crm") == Receiver("https://crm.example.com/people", "s3cret")


def test_the_page_quality_has_the_worst_first_and_asks_nobody_for_anything(dags: dict[str, Any]) -> None:
    from shopferry.orchestration import quality_page

    loaded = audits.load(Route.load("demo"))
    now = datetime(2026, 3, 20, 6, tzinfo=UTC)

    def see(days_ago: int, audit: str, bad: int, state: str, segment: str = "all") -> Value:
        return Value(
            20 - days_ago, now - timedelta(days=days_ago), audit, segment, bad, 1_000 if bad >= 0 else 0, state
        )

    history = [see(d, "phone_missing", 10, "good") for d in range(5, 0, -1)]
    history += [
        see(0, "name_missing", 20, "warn"),
        see(0, "phone_missing", 90, "error"),
        see(0, "reachable", 400, "good", "<sms>"),
    ]
    page = quality_page.render("demo", ENGLISH, loaded, history, now)
    assert "1 value is in error, 1 to be looked at." in page
    order = re.findall(r'<span class="badge (\w+)">', page)
    assert order == ["error", "warn", "good", *["none"] * (len(loaded) - 3)]
    for words in (
        "9.00 %",
        "8.00 points worse than usual",
        "Customer care",
        "see that the checkout asks for it",
        "60.00 %",
    ):
        assert words in page
    assert "&lt;sms&gt;" in page and "<sms>" not in page
    assert page.count("<polyline") == 3
    assert re.findall(r"""(?:src|href|url)\s*[=(]|https?:|<script""", page) == []
    assert "more than a day and a half old" in quality_page.render(
        "demo", ENGLISH, loaded, history, now + timedelta(hours=37)
    )
    assert "Nothing was counted yet." in quality_page.render("demo", ENGLISH, loaded, [], now)
    assert "The route has no audits." in quality_page.render("demo", ENGLISH, (), [], now)


def test_the_page_duplicates_shows_shapes_side_by_side_and_no_value(dags: dict[str, Any]) -> None:
    from shopferry.control.pairs import Count, Pair, Search
    from shopferry.insight.similarity import Account
    from shopferry.orchestration import duplicates_page

    now = datetime(2026, 3, 20, 6, tzinfo=UTC)
    one = Account(4, "Jan", "Kowalski", "jan@example.com", ("+48601234567",), (("00-950", "Długa 5/7"),), ())
    other = Account(9, "Jan", "Kowalsky", "jan+a@example.com", ("+48601234567",), (), ("K100",))
    pair = Pair(4, 9, 0.97, {"name": 0.9, "email": 1.0, "phone": 1.0}, "<phone>", "new", None, None, None)
    counted = [Count("<phone>", "new", 2, 1), Count("email", "same", 3, 3)]
    last = Search(now, "anna", 2.0, 40, 5, {"phone": 1})
    page = duplicates_page.render("demo", ENGLISH, last, counted, [pair], {4: one, 9: other})
    assert "1 pair that scores 0.95 or more is undecided." in page
    assert "Xxx Xxxxxxxx" in page and "xxx@xxxxxxx.xxx" in page and "+99999999999" in page and "X999" in page
    assert not any(value in page for value in ("Kowalsk", "jan@", "601234567", "Długa", "K100"))
    assert re.findall(r'<span class="what (\w+)">', page) == ["near", "same", "same", "unknown", "unknown"]
    assert "&lt;phone&gt;" in page and "<phone>" not in page
    assert "phone 1." in page  # blocks that were passed over
    assert re.findall(r"""(?:src|href|url)\s*[=(]|https?:|<script""", page) == []
    assert "Every pair that scores 0.95 or more is decided." in duplicates_page.render(
        "demo", ENGLISH, last, counted[1:], [], {}
    )
    assert "Nobody has looked for pairs yet." in duplicates_page.render("demo", ENGLISH, None, [], [], {})
    assert "The route looks for no pairs." in duplicates_page.render("demo", ENGLISH, None, [], [], {}, has_rules=False)


def test_only_the_first_phase_asks_for_a_rehearsal_and_only_a_person_rehearses(dags: dict[str, Any]) -> None:
    assert [p for p in PHASES if "without_rehearsal" in dags[p].params] == [PHASES[0]]
    assert {str(t.value) for t in dags["rehearse"].allowed_run_types} == {"manual"}
    assert dags["rehearse"].params["real_data"] is None


def test_who_keeps_the_dumps_is_said_with_the_day_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from shopferry.orchestration import finishing

    form: dict[str, str | None] = {"keep_dumps": None, "until": None}
    monkeypatch.setattr(finishing, "get_current_context", lambda: {"params": form})
    assert finishing._read_keeper() is None
    form["keep_dumps"] = "Ola"
    with pytest.raises(GateError, match="say both who keeps the dumps and until which day"):
        finishing._read_keeper()
    form["until"] = "2027-01-31"
    assert finishing._read_keeper() == Keeper("Ola", date(2027, 1, 31))


def test_what_is_past_its_period_goes_each_day_and_what_only_people_can_end_fails_the_task(
    dags: dict[str, Any], make_pair: Callable[[], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException
    from shopferry.orchestration import cleaning

    assert dags["keep_clean"].timetable.can_be_scheduled
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    pair, form = make_pair(), {"dry_run": True}
    monkeypatch.setattr(cleaning, "get_current_context", lambda: {"params": form})
    settings = Settings(read_dsn(pair.legacy), read_dsn(pair.shop), "127.0.0.1:1")
    monkeypatch.setattr(cleaning, "load_settings", lambda: settings)
    export = tmp_path / "requests" / "1.zip"
    export.parent.mkdir()
    export.touch()
    os.utime(export, (0, 0))
    sweep = dags["keep_clean"].get_task("sweep").python_callable
    sweep()
    assert export.exists()
    form["dry_run"] = False
    assert "exports: 1 removed, 0 stay" in sweep()
    assert not export.exists()
    pair.shop.execute(
        "INSERT INTO ferry.quarantine VALUES ('shop.customer', '1', '1', '{x}', NULL, NULL, '2020-01-01')"
    )
    with pytest.raises(
        AirflowFailException, match=r"still there: quarantine in the new shop shop\.customer since 2020-03-31"
    ):
        sweep()


def test_the_form_shows_the_last_rehearsal(
    dags: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopferry.orchestration.phase import build_phase_dag

    def shown() -> str:
        return str(build_phase_dag(Route.load("demo"), PHASES[0]).params.get_param("without_rehearsal").description)

    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    assert shown().startswith("The last rehearsal: none yet. ")
    phase = rehearsals.Rehearsed("contacts", 100, 1_000, 1, 1, 1, 3600, 2, 0, 5, 5, ["shop.customer 7 status changed"])
    held = rehearsals.Rehearsal(
        1,
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        "me",
        "f",
        250,
        True,
        3.0,
        [asdict(phase)],
        None,
        green=False,
        real_data_by=None,
    )
    note.write(held, "demo")
    assert shown().startswith(
        "The last rehearsal: 250 customers and the oddest ones, 2026-03-01 12:00: contacts has 2 differ"
    )
    note.write(replace(held, green=True), "demo")
    assert "2026-03-01 12:00: green; all of legacy takes at most 60 min. Empty: " in shown()


def test_a_trigger_is_a_few_scalars(dags: dict[str, Any]) -> None:
    from shopferry.orchestration.sync import SyncTrigger

    classpath, given = SyncTrigger("contacts", 5.0).serialize()
    assert classpath == "shopferry.orchestration.sync.SyncTrigger"
    assert given == {"phase": "contacts", "patience_s": 5.0}
    assert SyncTrigger(**given).serialize() == (classpath, given)
    start = dags["orders"].get_task("await_sync").start_trigger_args
    assert start.trigger_cls == classpath
    assert start.trigger_kwargs == {"phase": "orders", "patience_s": 300.0}


def test_what_is_transient_is_tried_again_and_all_else_fails_with_its_reason(dags: dict[str, Any]) -> None:
    from airflow.sdk import RetryAction
    from shopferry.orchestration.failures import ReasonedRetryPolicy

    policy = ReasonedRetryPolicy()
    again = policy.evaluate(TransientError("the broker does not answer"), 1, 5)
    assert again.action is RetryAction.RETRY
    assert again.reason == "TransientError: the broker does not answer"
    assert policy.evaluate(ConfigError("x"), 1, 5).action is RetryAction.FAIL
    assert policy.evaluate(KeyError("x"), 1, 5).action is RetryAction.FAIL


def test_no_value_of_a_row_leaves_a_task(dags: dict[str, Any], make_db: Callable[..., str]) -> None:
    from airflow.sdk.exceptions import AirflowFailException
    from shopferry.orchestration.failures import give_reason

    with db.connect(make_db("reasons"), "test") as conn:
        conn.execute("CREATE TABLE t (email text CONSTRAINT once UNIQUE)")

        @give_reason
        def put() -> None:
            conn.execute("INSERT INTO t VALUES ('jan@example.com'), ('jan@example.com')")

        with pytest.raises(AirflowFailException) as failure:
            put()

        @give_reason
        def cancel() -> None:
            conn.execute("SET statement_timeout = 1; SELECT pg_sleep(1)")

        with pytest.raises(TransientError):
            cancel()
    assert str(failure.value) == "UniqueViolation 23505 constraint once in public.t"
    assert failure.value.__cause__ is None
    assert failure.value.__context__ is None  # Airflow would log it, and it quotes the row


def test_the_stores_are_airflows_connections(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg.conninfo import conninfo_to_dict
    from shopferry.orchestration.connections import load_settings

    monkeypatch.delenv("SHOPFERRY_ROUTE", raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_LEGACY_DB", "postgresql://me:p%40ss@old:5433/legacy?sslmode=require")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", "postgresql://me@new/shop")
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA", json.dumps({"conn_type": "kafka", "host": "broker", "port": 9094}))
    monkeypatch.setenv("SHOPFERRY_HOOK", "https://shop.example/moved")
    found = load_settings()
    assert (found.hook, found.pgbouncer) == ("https://shop.example/moved", "")
    assert conninfo_to_dict(found.source_dsn) == {
        "host": "old",
        "port": "5433",
        "user": "me",
        "password": "p@ss",
        "dbname": "legacy",
        "sslmode": "require",
    }
    assert conninfo_to_dict(found.target_dsn) == {"host": "new", "user": "me", "dbname": "shop"}
    assert found.kafka == "broker:9094"
    assert found.security == KafkaSecurity()
    assert found.route == "demo"


def test_the_way_to_the_broker_is_secured_by_the_words_of_airflows_own_kafka_connections(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopferry.orchestration.connections import load_settings

    for name in ("LEGACY_DB", "SHOP_DB"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", "postgresql://me@here/db")
    extra = {
        "bootstrap.servers": "broker:9094",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "ferry",
        "sasl.password": "s3cret",
        "group.id": "of others",
    }
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA", json.dumps({"conn_type": "kafka", "extra": extra}))
    assert load_settings().security == KafkaSecurity("SASL_SSL", "SCRAM-SHA-256", "ferry", "s3cret")
    del extra["sasl.password"]
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA", json.dumps({"conn_type": "kafka", "extra": extra}))
    with pytest.raises(ConfigError, match=r"set sasl\.password in the extra of Airflow connection 'kafka', too"):
        load_settings()


# The real thing, once.


@pytest.fixture(scope="module")
def stores(shared_stack: SharedStack) -> Iterator[stack.State]:
    """The stack without Airflow, with a small shop in legacy."""
    with shared_stack.lent(EMPTY) as flow:
        demo_shop.seed(flow.settings, 400)
        flow.close()
        yield flow.state


@pytest.fixture
def running(stores: stack.State) -> stack.State:
    """The same with Airflow, which joins what runs."""
    before = pids()
    state = stack.up()
    assert pids().items() >= before.items()
    return state


def _hand_over_through_airflow(oncall: Api, viewer: Api, shop: str) -> None:
    """Two activations: one is rejected and one approved; the second run of that one asks nobody."""
    exports, name = data_dir() / "exports", "marketing_email_klaviyo"
    assert viewer("POST", "/api/v2/dags/activate/dagRuns", {"logical_date": None, "conf": {}})[0] == 403
    refused = oncall.start("activate", activation="marketing_sms_csv")
    oncall.answer("activate", refused, "Reject", "approve_marketing_sms_csv")
    assert oncall.finished("activate", refused) == "failed"
    first = oncall.start("activate", activation=name)
    oncall.answer("activate", first, "Approve", f"approve_{name}")
    oncall.succeeds("activate", first)
    assert {t: s for t, s in oncall.tasks("activate", first).items() if s != "skipped"} == dict.fromkeys(
        (f"count_{name}", f"approve_{name}", f"hand_over_{name}"), "success"
    )
    assert sorted(f.name for f in exports.iterdir()) == [
        f"{name}-000001-2-suppressed.csv",
        f"{name}-000001-3-members.json",
    ]
    booked = "SELECT activation || ' ' || approved_by || ' ' || (gained > 10)::text FROM ferry.activation_run"
    assert one(shop, booked) == f"{name} oncall true", "what was rejected is not booked"
    again = oncall.start("activate", activation=name)
    oncall.succeeds("activate", again)
    assert oncall.tasks("activate", again)[f"approve_{name}"] == "skipped"
    assert one(shop, "SELECT gained + changed + lost FROM ferry.activation_run ORDER BY id DESC LIMIT 1") == 0


def pids() -> dict[str, int]:
    """The processes of the stack's servers that run."""
    return {s.name: s.pid for s in stack.status() if s.pid}


def one(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(query).fetchone()
        return row[0] if row else None


@pytest.mark.stack
def test_a_sample_is_merged_and_lets_go(stores: stack.State) -> None:
    """By dag.test(), which would race a scheduler on the same metadata: so before Airflow is up."""
    embedded.initialise(stores, data_dir() / "log" / "airflow-migrate.log")
    form = json.dumps({"sample": 50, "chunk_size": 100})
    ran = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "contacts", "-c", form],
        env=embedded.make_clean_environment()
        | embedded.make_environment(stores)
        | {"SHOPFERRY_DATA": str(data_dir())},  # where the key of marks is
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    phase = "SELECT state || coalesce(holder, '') FROM ferry.phase WHERE phase = 'contacts'"
    assert one(stores["shop_dsn"], phase) == "copying"
    assert 0 < one(stores["shop_dsn"], "SELECT count(*) FROM shop.customer") < 250


@pytest.mark.stack
def test_a_shop_moves_through_the_real_airflow(running: stack.State) -> None:
    """In one go, as a boot takes most of a minute: page, refusals, a killed task, three phases, cutover, rollback, end."""
    assert embedded.is_healthy(running)
    assert embedded.fetch_import_errors(running) == {}
    admin, oncall, viewer, nobody = (Api(running, user) for user in ("admin", "oncall", "viewer", ""))
    assert admin("GET", "/api/v2/importErrors")[1]["total_entries"] == 0

    for path in ("/shopferry/", "/shopferry/api/status", "/api/v2/dags"):
        assert nobody("GET", path)[0] == 401
        assert viewer("GET", path)[0] == 200
    for path in ("/shopferry/docs", "/shopferry/openapi.json"):
        assert nobody("GET", path)[0] in {401, 404}
    [plugin] = [p for p in admin("GET", "/api/v2/plugins")[1]["plugins"] if p["name"] == "shopferry"]
    assert plugin["external_views"][0]["destination"] == "nav"

    shop = running["shop_dsn"]
    refused = oncall.start("orders")
    assert oncall.finished("orders", refused) == "failed"
    assert oncall.tasks("orders", refused)["plan"] == "failed"
    log = str(oncall("GET", f"/api/v2/dags/orders/dagRuns/{refused}/taskInstances/plan/logs/1")[1])
    assert "contacts comes first" in log
    refused = oncall.start("cutover")
    assert oncall.finished("cutover", refused) == "failed"
    assert oncall.tasks("cutover", refused)["gates"] == "failed"
    log = str(oncall("GET", f"/api/v2/dags/cutover/dagRuns/{refused}/taskInstances/gates/logs/1")[1])
    assert "NOT MET  phases verified" in log and "met      disk to spare" in log

    with db.connect(running["legacy_dsn"], "test") as legacy:
        known = leaks.collect_stored(legacy, "public")
        legacy.execute("CREATE TABLE cms_page AS SELECT 1 AS id")
        refused = oncall.start("contacts")
        assert oncall.finished("contacts", refused) == "failed"
        log = str(oncall("GET", f"/api/v2/dags/contacts/dagRuns/{refused}/taskInstances/assess/logs/1")[1])
        assert "BLOCKING legacy table cms_page" in log
        legacy.execute("DROP TABLE cms_page")
    refused = oncall.start("contacts")
    assert oncall.finished("contacts", refused) == "failed"
    log = str(oncall("GET", f"/api/v2/dags/contacts/dagRuns/{refused}/taskInstances/plan/logs/1")[1])
    assert "cannot start without a green rehearsal (there was none)" in log
    swept = oncall.start("keep_clean")
    oncall.succeeds("keep_clean", swept)
    rehearsed = oncall.start("rehearse", customers=20)
    oncall.succeeds("rehearse", rehearsed)
    assert one(shop, "SELECT green AND pseudonymised FROM ferry.rehearsal")
    assert viewer("GET", "/shopferry/api/status")[1]["rehearsal"]["green"]

    run = oncall.start("contacts", chunk_size=100, rows_per_second=100)
    os.kill(oncall.running_pid("contacts", run, "copy"), signal.SIGKILL)
    oncall.succeeds("contacts", run)
    assert 2 in oncall.tries("contacts", run, "copy")
    for phase in ("orders", "loyalty", "insight"):
        oncall.succeeds(phase, oncall.first_run(phase))
    states = "SELECT string_agg(DISTINCT state, ' ') || count(holder) || bool_and(seconds > 0) FROM ferry.phase"
    assert one(shop, states) == "verified0true"
    assert one(shop, "SELECT count(*) FROM ferry.prior_row") == 0
    shown = viewer("GET", "/shopferry/api/status")[1]
    assert [p["verification"]["differences"] for p in shown["phases"]] == [0, 0, 0, 0]
    assert shown["complaints"] == []
    watched = oncall.start("watch_sync")
    oncall.succeeds("watch_sync", watched)
    log = str(oncall("GET", f"/api/v2/dags/watch_sync/dagRuns/{watched}/taskInstances/look/logs/1")[1])
    for line in ("loyalty     verified", "events/s over the last minute"):  # the whole screen, not only its first line
        assert line in log
    counted = oncall.start("audit")
    oncall.succeeds("audit", counted)
    assert int(str(one(shop, "SELECT count(DISTINCT audit) FROM ferry.audit_value"))) == len(
        audits.load(Route.load("demo"))
    )
    page = viewer("GET", "/shopferry/quality")
    assert page[0] == 200 and page[1].count("<polyline") > 20
    with db.connect(shop, "test") as conn:
        conn.execute("SET shopferry.writer = 'ferry'")
        conn.execute("UPDATE shop.loyalty_account SET balance = balance + 1")
        oncall.finished("audit", oncall.start("audit"))
        # One run tells it: this one, or one that a phase's asset has started beside it.
        failed = oncall("GET", "/api/v2/dags/audit/dagRuns?state=failed")[1]["dag_runs"]
        [red] = [run["dag_run_id"] for run in failed]
        log = str(oncall("GET", f"/api/v2/dags/audit/dagRuns/{red}/taskInstances/tell/logs/1")[1])
        assert "points_off_ledger [standard] is error, was good: 100.00 %" in log
        oncall.succeeds("audit", oncall.start("audit"))  # it stays as bad: on-call was told
        conn.execute("UPDATE shop.loyalty_account SET balance = balance - 1")
    _hand_over_through_airflow(oncall, viewer, shop)
    compared = oncall.start("verify", repair=True)
    oncall.succeeds("verify", compared)

    with db.connect(shop, "test") as conn:
        [(customer, account)] = conn.execute(ALONE).fetchall()
        persons = {"legacy": [str(account)], "shop": [str(customer)]}
        opening = Opening("erasure", date(2026, 1, 2), "anna", "passport")
        asked, other = (
            requests.open_request(conn, "demo", replace(opening, kind=kind), persons) for kind in ("erasure", "access")
        )
    refused = oncall.start("privacy_request", number=other)
    assert oncall.finished("privacy_request", refused) == "failed"
    log = str(oncall("GET", f"/api/v2/dags/privacy_request/dagRuns/{refused}/taskInstances/check/logs/1")[1])
    assert f"request {other} is access: `shopferry request run {other}` answers it" in log
    assert viewer("GET", "/shopferry/requests")[0] == 403
    assert (
        viewer("POST", "/api/v2/dags/privacy_request/dagRuns", {"logical_date": None, "conf": {"number": asked}})[0]
        == 403
    )
    assert f"<b>{asked}</b>" in oncall("GET", "/shopferry/requests")[1]
    run = admin.start("privacy_request", number=asked)
    oncall.answer("privacy_request", run, "Approve")
    oncall.succeeds("privacy_request", run)
    assert one(shop, f"SELECT state || ' ' || decided_by FROM ferry.request WHERE id = {asked}") == "done oncall"
    assert one(shop, f"SELECT count(*) FROM shop.customer WHERE id = {customer}") == 0

    rejected = oncall.start("cutover")
    oncall.answer("cutover", rejected, "Reject")
    assert oncall.finished("cutover", rejected) == "failed"
    assert one(shop, "SELECT active FROM ferry.route") == "legacy"
    approved = admin.start("cutover", ticket="CHG-1")
    oncall.answer("cutover", approved, "Approve")
    oncall.succeeds("cutover", approved)
    log = str(oncall("GET", f"/api/v2/dags/cutover/dagRuns/{approved}/taskInstances/cut_over/logs/1")[1])
    assert "met      rehearsal green" in log and "NOT MET" not in log  # judged anew after the approval
    assert one(shop, "SELECT active FROM ferry.route") == "shop"
    assert one(shop, "SELECT string_agg(DISTINCT who, ' ') FROM ferry.cutover_step") == "oncall"
    watched = oncall.start("watch_sync")
    oncall.succeeds("watch_sync", watched)

    proven = "SELECT string_agg(store || ' ' || (tested IS NOT NULL AND problem IS NULL), ', ' ORDER BY store) FROM ferry.backup"
    assert one(shop, proven) == "legacy true, shop true"  # by the first of these cutovers; the others found them fresh
    back = oncall.start("rollback")
    oncall.answer("rollback", back, "Approve")
    oncall.succeeds("rollback", back)
    assert one(shop, "SELECT active FROM ferry.route") == "legacy"
    status, cleared = oncall(
        "POST",
        "/api/v2/dags/cutover/clearTaskInstances",
        {"dag_run_id": approved, "task_ids": ["gates", "cut_over"], "dry_run": False, "only_failed": False},
    )
    assert status == 200, cleared
    assert cleared["total_entries"] == 2, cleared
    oncall.finished("cutover", approved)  # by its last task, which was not cleared
    assert oncall.tasks("cutover", approved)["cut_over"] == "failed"  # nobody has approved a second one
    log = str(oncall("GET", f"/api/v2/dags/cutover/dagRuns/{approved}/taskInstances/cut_over/logs/2")[1])
    assert "it was approved at " in log and "and the shop was switched since" in log
    assert one(shop, "SELECT active FROM ferry.route") == "legacy"

    approved = admin.start("cutover")
    oncall.answer("cutover", approved, "Approve")
    oncall.succeeds("cutover", approved)
    early = admin.start("finish", route="demo")
    assert oncall.finished("finish", early) == "failed"
    log = str(oncall("GET", f"/api/v2/dags/finish/dagRuns/{early}/taskInstances/check/logs/1")[1])
    assert "the way back is promised until" in log
    with db.connect(shop, "test") as conn:
        conn.execute("UPDATE ferry.route SET changed_at = now() - interval '15 days'")
        conn.execute("DELETE FROM ferry.quarantine")  # as the team does by `quarantine release` and `drop`
    for occasion in (*(f"phase-{p}" for p in PHASES), "a-verification", "the-cutover", "the-rollback"):
        assert list((data_dir() / "reports").glob(f"demo-*-after-{occasion}.html")), occasion
    ended = admin.start("finish", route="demo")
    oncall.answer("finish", ended, "Approve", "approve_first")
    admin.answer("finish", ended, "Approve", "approve_second")
    oncall.succeeds("finish", ended)
    assert one(shop, "SELECT to_regnamespace('ferry')") is None
    assert one(shop, "SELECT who FROM shopferry_audit.entry WHERE what = 'finish'") == "oncall, admin"
    told, lines = leaks.search(known, leaks.read_files(data_dir() / "log", embedded.find_home() / "logs"))
    assert lines > 1_000
    assert told == []

    servers = [psutil.Process(pid) for pid in pids().values()]
    family = servers + [child for server in servers for child in server.children(recursive=True)]
    stack.down()
    assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
