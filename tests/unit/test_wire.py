"""The connector goes the way that the DSN says, as libpq would; what its driver cannot take is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopferry.errors import ConfigError
from shopferry.settings import Settings
from shopferry.stack import connector
from shopferry.stack.wire import describe_way

LOCAL = "host=127.0.0.1 port=1 dbname=app user=u"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this machine has set for libpq must not count."""
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "PGSERVICE", "PGOPTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("dsn", "wanted"),
    [
        ("postgresql://u:p%40%24x@127.0.0.1:1/app", {"database.password": "p@$x", "database.user": "u"}),
        ("postgresql://u:pa${X}ss@127.0.0.1:1/app", {"database.password": "pa${X}ss"}),
        ("dbname=app hostaddr=127.0.0.1 port=1 user=u password='a b'", {"database.hostname": "127.0.0.1"}),
        ("postgresql://u:p@[::1]:1/app", {"database.hostname": "[::1]", "database.port": "1"}),
        ("dbname=app user=u", {"database.hostname": "localhost", "database.port": "5432"}),
        (f"{LOCAL} sslmode=require", {"database.sslmode": "require"}),
        (
            f"{LOCAL} sslmode=verify-full sslrootcert=/etc/ca.pem sslcert=/etc/c.pem",
            {
                "database.sslmode": "verify-full",
                "database.sslrootcert": "/etc/ca.pem",
                "database.sslcert": "/etc/c.pem",
            },
        ),
        (f"{LOCAL} options='-c role=owner'", {"driver.options": "-c role=owner"}),
        (f"{LOCAL} keepalives_idle=10 connect_timeout=3 application_name=x tcp_user_timeout=1", {"database.user": "u"}),
    ],
)
def test_a_word_of_the_dsn_arrives(dsn: str, wanted: dict[str, str]) -> None:
    found = describe_way(dsn)
    assert found | wanted == found


def test_what_libpq_takes_from_files_and_environment_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "services").write_text("[legacy]\nhost=127.0.0.1\nport=1\ndbname=app\nuser=u\nsslmode=verify-ca\n")
    passwords = tmp_path / "passwords"
    passwords.write_text("127.0.0.1:1:app:u:secret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    found = describe_way(f"service=legacy passfile={passwords}")
    assert (found["database.hostname"], found["database.password"]) == ("127.0.0.1", "secret")
    assert found["database.sslmode"] == "verify-ca"
    monkeypatch.setenv("PGSSLMODE", "require")
    assert describe_way(LOCAL)["database.sslmode"] == "require"
    with pytest.raises(ConfigError, match='the DSN cannot be read: definition of service "other" not found'):
        describe_way("service=other")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("host=/var/run/postgresql", "host=/var/run/postgresql"),
        ("host=127.0.0.1,127.0.0.2 port=1,1", "host=127.0.0.1,127.0.0.2"),
        ("host=127.0.0.1 hostaddr=127.0.0.1 port=1", "hostaddr beside host"),
        (f"{LOCAL} target_session_attrs=read-write", "target_session_attrs=read-write"),
        (f"{LOCAL} channel_binding=require", "channel_binding=require"),
        (f"{LOCAL} require_auth=scram-sha-256", "require_auth=scram-sha-256"),
        (f"{LOCAL} sslcrl=/etc/crl.pem", "sslcrl=/etc/crl.pem"),
        (f"{LOCAL} ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version=TLSv1.3"),
        (f"{LOCAL} requirepeer=me", "requirepeer=me"),
        (f"{LOCAL} sslmode=verify-full sslrootcert=system", "sslrootcert=system"),
    ],
)
def test_a_word_that_the_driver_does_not_know_is_refused_by_name(words: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        describe_way(words)
    assert f"cannot take {named} from the DSN" in str(caught.value)


def test_a_key_is_taken_in_the_drivers_form(tmp_path: Path) -> None:
    key = tmp_path / "c.key"
    key.touch()
    with pytest.raises(ConfigError, match=r"openssl pkcs8 -topk8 .* -out .*c\.key\.pk8"):
        describe_way(f"{LOCAL} sslkey={key}")
    other = tmp_path / "c.key.pk8"
    other.touch()
    assert describe_way(f"{LOCAL} sslkey={key}")["database.sslkey"] == str(other)


def test_our_own_session_settings_come_last_and_so_count() -> None:
    dsn = f"{LOCAL} options='-c role=owner -c statement_timeout=5'"
    options = connector.build_properties(Settings(dsn, "", "", "demo"))["driver.options"]
    assert options.startswith("-c role=owner -c statement_timeout=5 -c bytea_output=hex ")
    assert options.index("statement_timeout=5") < options.index("statement_timeout=0")
