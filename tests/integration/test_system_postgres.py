"""What the wheel's PostgreSQL was built without, on the system's: collations that fold, and connections by TLS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from own_shop import own_pair
from pair import Pair
from psycopg.conninfo import make_conninfo
from shopferry import assess, cli, db
from shopferry.assess import readiness
from shopferry.errors import ConfigError
from shopferry.retry import retrying
from shopferry.settings import Settings
from shopferry.stack import postgres
from shopferry.stack.state import choose_port
from waiting import until

_LOOPBACK = ip_address("127.0.0.1")
_SERIAL = count(1)


def binaries() -> Path:
    """Where the system's PostgreSQL has its programs; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    other = shutil.which("initdb")
    if not found and not other:
        pytest.skip("no PostgreSQL of the system here: apt-get install postgresql")
    return (found[-1] if found else Path(str(other))).parent


def certify(name: str, folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that vouches for itself; returns its file and that of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    title = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@dataclass
class Server:
    """A running server that takes no connection but by TLS."""

    port: int
    certificate: Path
    made: list[str] = field(default_factory=list)

    def dsn(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=shopferry password=secret dbname={database} sslmode=require"

    def make_db(self, prefix: str = "db") -> str:
        """Make a database, and return its DSN."""
        name = f"{prefix}_{next(_SERIAL)}"
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn(name)


@pytest.fixture(scope="module")
def server(run_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    owner, home, found = postgres.find_account(), run_home / "system", binaries()
    home.mkdir()
    data, secret, port = home / "data", home / "secret", choose_port(set())
    data.mkdir(mode=0o700)
    secret.write_text("secret")
    files = certify("server", home)
    if owner:
        for path in (home, data, secret, *files):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    files[1].chmod(0o600)

    def call(program: str, *arguments: str) -> None:
        with (home / f"{program}.log").open("w") as output:
            subprocess.run(
                [found / program, "-D", data, *arguments],
                check=True,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                **postgres._run_as(owner),
            )

    call("initdb", "-U", "shopferry", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "-N")
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "wal_level": "logical",
        "ssl": "on",
        "ssl_cert_file": files[0],
        "ssl_key_file": files[1],
        "fsync": "off",
        "shared_buffers": "64MB",
        "log_min_messages": "log",
        "search_path": "public",
    }
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in options.items())
    call("pg_ctl", "-w", "-s", "-l", str(home / "server.log"), "start")
    try:
        yield Server(port, files[0])
    finally:
        call("pg_ctl", "-w", "-s", "-m", "immediate", "stop")


def test_a_store_is_reached_by_tls_where_the_certificate_proves_the_server(server: Server) -> None:
    dsn = make_conninfo(server.dsn(), sslmode="verify-full", sslrootcert=str(server.certificate))
    with db.connect(dsn, "test") as conn:
        assert conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall() == [(True,)]


WRONG = {  # what is wrong of the DSN: what it says instead, and what libpq makes of it
    "authority": ({}, "SSL error: certificate verify failed"),
    "name": ({"host": "localhost", "hostaddr": "127.0.0.1"}, 'does not match host name "localhost"'),
    "file": (
        {"sslrootcert": "/nowhere/authority.pem"},
        'root certificate file "/nowhere/authority.pem" does not exist',
    ),
}


@pytest.mark.parametrize("store", ["legacy", "shop"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_that_does_not_prove_itself_is_one_error_and_is_not_tried_again(
    server: Server,
    wrong: str,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes, said = WRONG[wrong]
    known = certify("other", tmp_path)[0] if wrong == "authority" else server.certificate
    good = make_conninfo(server.dsn(), sslmode="verify-full", sslrootcert=str(server.certificate))
    bad = make_conninfo(good, **{"sslrootcert": str(known), **changes})
    for name in ("legacy", "shop"):
        monkeypatch.setenv(f"SHOPFERRY_{name.upper()}_DSN", bad if name == store else good)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    with pytest.raises(ConfigError) as caught:
        retrying(lambda: db.connect(bad, "test"))
    assert said in str(caught.value)
    assert "check sslmode, sslrootcert and host in the DSN" in str(caught.value)
    assert cli.main(["phase", "init"]) != 0
    monkeypatch.setattr(
        readiness, "check_broker", lambda _: iter(())
    )  # there is none, and asking nobody takes its time
    printed = capsys.readouterr().err
    assert printed.count(said) == 1 and "secret" not in printed and "Traceback" not in printed
    settings = Settings.load()
    subject = {"legacy": "legacy store", "shop": "new shop"}[store]
    assert any(said in f.text and f.blocking for f in assess.find_obstacles(settings) if f.subject == subject)
    with db.connect(good, "test") as conn:
        assert conn.execute("SELECT to_regnamespace('ferry'), to_regnamespace('shopferry')").fetchall() == [
            (None, None)
        ]


FOLDING = "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
ARTICLES = f"""{FOLDING}
CREATE TABLE article (code text COLLATE folding PRIMARY KEY, name text);
INSERT INTO article SELECT 'Sku-' || i, 'n' || i FROM generate_series(1, 20) i;
"""
SHOP = f"""CREATE SCHEMA shop;
{FOLDING}
CREATE TABLE shop.article (code text COLLATE folding PRIMARY KEY, name text);
"""
MAPPING = {
    "all/article.sql": """-- entity: shop.article
-- key: code
-- scope: code
-- source: legacy.article(code)
SELECT code, name, CASE WHEN name IS NULL THEN ARRAY['empty'] ELSE '{}'::text[] END AS problems
FROM legacy.article t JOIN affected a ON a.key = t.code
"""
}


@pytest.fixture
def folded(server: Server, tmp_path: Path) -> Iterator[Pair]:
    """Two stores whose keys are equal in any case, all verified."""
    with own_pair(server.make_db, tmp_path, ARTICLES, SHOP, MAPPING) as pair:
        pair.pass_phases()
        yield pair


def test_keys_that_a_collation_takes_for_equal_arrive_as_they_are_written(folded: Pair) -> None:
    folded.write("UPDATE article SET code = upper(code) WHERE name <> 'n3'")
    folded.sync()
    folded.write(
        "DELETE FROM article WHERE name = 'n4'",
        "INSERT INTO article VALUES ('sKu-4', 'again')",
        "UPDATE article SET code = lower(code), name = NULL WHERE name = 'n5'",
    )
    folded.sync()
    theirs, ours = folded.mirrored("article")
    assert ours == theirs
    written = 'SELECT code::text FROM {} WHERE name IS NOT NULL ORDER BY code COLLATE "C"'
    assert (
        folded.ask(written.format("shop.article"))
        == folded.legacy.execute(written.format("article").encode()).fetchall()
    )
    assert folded.verify("all").clean


_CONNECTOR = """
import sys
from pathlib import Path
from shopferry.settings import Settings
from shopferry.stack import connector, jvm

class Printer:
    def publish(self, events: object) -> None:
        print(*(topic for topic, _, _ in events), flush=True)

settings = Settings.load()
jvm.start(connector._list_jars(), caches=Path("/dev/null/none"))
connector._make_engine(connector.build_properties(settings), Printer()).run()
"""


@pytest.mark.parametrize("ours", ["the server's", "another"])
def test_the_connector_verifies_the_server_as_the_dsn_says(
    server: Server, folded: Pair, ours: str, tmp_path: Path
) -> None:
    """With `verify-full` it streams by TLS where the certificate is known, and does not connect where it is not."""
    authority = server.certificate if ours == "the server's" else certify("other", tmp_path)[0]
    dsn = make_conninfo(server.dsn(folded.legacy.info.dbname), sslmode="verify-full", sslrootcert=str(authority))
    slot = folded.route.publication
    folded.legacy.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    environment = os.environ | {
        "SHOPFERRY_LEGACY_DSN": dsn,
        "SHOPFERRY_SHOP_DSN": dsn,
        "SHOPFERRY_KAFKA": "127.0.0.1:1",
        "SHOPFERRY_ROUTES": str(tmp_path),
        "SHOPFERRY_ROUTE": folded.route.name,
    }
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", _CONNECTOR], env=environment, stdout=output, stderr=output)
    streams = (
        "SELECT s.ssl FROM pg_stat_replication r JOIN pg_stat_ssl s USING (pid) "
        "JOIN pg_replication_slots l ON l.active_pid = r.pid WHERE l.slot_name = %s"
    )
    try:
        if ours == "another":
            assert process.wait(120) is not None
            assert folded.legacy.execute(streams, (slot,)).fetchall() == []
            assert "PKIX path" in log.read_text()
        else:
            until(lambda: process.poll() is not None or folded.legacy.execute(streams, (slot,)).fetchall())
            assert folded.legacy.execute(streams, (slot,)).fetchall() == [(True,)], log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
        until(lambda: not folded.legacy.execute(streams, (slot,)).fetchall())
        folded.legacy.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
