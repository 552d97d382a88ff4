"""Airflow's users as docker-compose.yml has them: made by its own script, held by the FAB auth manager, each with their role."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_api import Api
from pair import prepare
from shopferry.settings import PROJECT
from shopferry.stack.state import choose_port
from waiting import until

pytestmark = pytest.mark.airflow
SERVICE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["airflow-api"]
TRIGGER = ("POST", "/api/v2/dags/cutover/dagRuns", {"logical_date": None, "conf": {}})


@dataclass
class Airflow:
    """An API server with the users of compose, in a database of its own."""

    url: str
    environment: dict[str, str]

    def init(self, **passwords: str) -> None:
        """Run the one-shot service's script."""
        given = {f"AIRFLOW_{n.upper()}_PASSWORD": f"secret of {n}" for n in ("admin", "platform", "oncall", "viewer")}
        given |= {f"AIRFLOW_{name.upper()}_PASSWORD": word for name, word in passwords.items()}
        command = ["bash", str(PROJECT / "docker" / "airflow-init")]
        done = subprocess.run(command, env=self.environment | given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert not [word for word in given.values() if word in done.stdout + done.stderr]

    def log_in(self, user: str, password: str) -> Api:
        """As this user; whose token is empty where the password is wrong."""
        api = Api({"airflow_url": self.url}, "")
        status, answer = api("POST", "/auth/token", {"username": user, "password": password})
        api.token = answer["access_token"] if status == 201 else ""
        return api


@pytest.fixture(scope="module")
def server(make_template: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    legacy, shop, own = make_template("legacy"), make_template("shop"), make_template("airflow")
    prepare(legacy, shop, lambda _: None)
    port = choose_port(set())
    url = f"http://127.0.0.1:{port}"
    secret = base64.urlsafe_b64encode(os.urandom(32)).decode()
    composed = {k: re.sub(r"\$\{[^}]*\}", secret, str(v)) for k, v in SERVICE["environment"].items() if "__" in k}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SHOPFERRY"))} | composed
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": own.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW_CONN_LEGACY_DB": legacy,
        "AIRFLOW_CONN_SHOP_DB": shop,
        "AIRFLOW_CONN_KAFKA": "kafka://127.0.0.1:1",
    }
    made = Airflow(url, environment)
    made.init()
    with (home / "api.log").open("w") as log:
        words = [*SERVICE["command"], "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen([sys.executable, "-m", *words], env=environment, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (home / "api.log").read_text()[-3000:]
            try:
                return Api({"airflow_url": url}, "")("GET", "/api/v2/monitor/health")[0] == 200
            except OSError:
                return False

        until(answers)
        yield made
    finally:
        process.terminate()
        process.wait()


def list_routes(home: Path) -> list[str]:
    """Every route of our pages, as Airflow mounts them."""
    os.environ.setdefault("AIRFLOW_HOME", str(home))  # its defaults go to ~ else
    from shopferry.orchestration.page import PREFIX, build_application

    return [PREFIX + route.path for route in build_application().routes]  # type: ignore[attr-defined]


def test_nobody_gets_in_without_a_password(server: Airflow, tmp_path: Path) -> None:
    nobody = Api({"airflow_url": server.url}, "")
    routes = list_routes(tmp_path)
    assert {
        "/shopferry/",
        "/shopferry/api/status",
        "/shopferry/quality",
        "/shopferry/duplicates",
        "/shopferry/requests",
    } <= set(routes)
    assert {route: nobody("GET", route)[0] for route in routes} == dict.fromkeys(routes, 401)
    assert nobody(*TRIGGER)[0] == 401
    for user, password in (("admin", "admin"), ("viewer", ""), ("nobody", "secret of nobody")):
        assert server.log_in(user, password).token == ""


@pytest.mark.parametrize(("user", "may"), [("viewer", False), ("oncall", True), ("platform", True), ("admin", True)])
def test_all_see_the_page_and_a_viewer_starts_nothing(server: Airflow, user: str, may: bool) -> None:
    api = server.log_in(user, f"secret of {user}")
    assert api("GET", "/shopferry/")[0] == 200
    assert "Nothing was counted yet." in api("GET", "/shopferry/quality")[1]
    assert "Nobody has looked for pairs yet." in api("GET", "/shopferry/duplicates")[1]
    assert api(*TRIGGER)[0] == (404 if may else 403)  # no DAG is parsed here


@pytest.mark.parametrize(("user", "may"), [("viewer", False), ("oncall", True), ("platform", True), ("admin", True)])
def test_requests_are_shown_to_those_who_may_run_them(server: Airflow, user: str, may: bool) -> None:
    status, page = server.log_in(user, f"secret of {user}")("GET", "/shopferry/requests")
    assert status == (200 if may else 403)
    assert ("Nothing is waiting." in page) == may


def test_the_script_run_again_gives_new_passwords(server: Airflow) -> None:
    server.init(viewer="another one")
    assert server.log_in("viewer", "secret of viewer").token == ""
    assert server.log_in("viewer", "another one").token
    assert server.log_in("oncall", "secret of oncall").token
