"""A whole move by a role that is no superuser: the one that docker-compose.yml makes, with the rights that the page lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from pair import ROUTE, Pair, prepare
from psycopg.conninfo import make_conninfo
from shopferry import assess, db
from shopferry.assess import readiness
from shopferry.demo.generator import seed
from shopferry.errors import ConfigError
from shopferry.privacy import roles
from shopferry.settings import PROJECT, Settings
from shopferry.stores import origin
from waiting import until

pytestmark = pytest.mark.fresh
SCRIPT = (PROJECT / "docker" / "postgres" / "role.sql").read_text()


def as_script(name: str, database: str) -> bytes:
    """What psql makes of the script for one store, but that the role has this name."""
    text = re.sub(r"^(--|\\getenv ).*$", "", SCRIPT, flags=re.MULTILINE)
    text = text.replace(":'password'", "'secret'").replace(':"DBNAME"', f'"{database}"')
    return text.replace("shopferry", name).encode()


@pytest.fixture
def plain(make_db: Callable[..., str]) -> Iterator[tuple[str, str]]:
    """DSNs of two databases that the plain role owns."""
    dsns = make_db("legacy"), make_db("shop")
    statements = [as_script("plain", psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]) for dsn in dsns]
    with db.connect(dsns[0], "test") as first, db.connect(dsns[1], "test") as second:
        first.execute(statements[0])
        first.execute("GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO plain")  # the test's own tap asks for it
        second.execute(re.sub(rb"CREATE ROLE [^;]*;", b"", statements[1]))
    try:
        yield tuple(make_conninfo(dsn, user="plain", password="secret") for dsn in dsns)  # type: ignore[misc]
    finally:
        # A session that was closed drops its temp tables, which are the role's, as it ends.
        with db.connect(dsns[0], "test") as conn:
            until(lambda: conn.execute("SELECT FROM pg_stat_activity WHERE usename = 'plain'").rowcount == 0)
        for dsn in dsns:
            with db.connect(dsn, "test") as conn:
                conn.execute("REASSIGN OWNED BY plain TO CURRENT_USER")
                conn.execute("DROP OWNED BY plain")
        with db.connect(dsns[0], "test") as conn:
            conn.execute("DROP ROLE plain")


def test_its_rights_are_enough_and_none_is_too_many(plain: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(*plain, lambda conn: seed(conn, customers=60))
    with db.connect(plain[0], "test") as conn:
        assert conn.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchall() == [(False, False, False)]
    monkeypatch.setattr(readiness, "check_broker", lambda settings: iter(()))
    found = assess.find_obstacles(Settings(*plain, "127.0.0.1:1"))
    assert [str(f) for f in found if f.blocking or f.subject.startswith("role ")] == []
    pair = Pair.open(*plain)
    try:
        pair.pass_phases()
        pair.write("UPDATE customers SET phone = '601 000 001'")
        pair.sync()
        assert all(pair.verify(phase).clean for phase in ROUTE.phases)
    finally:
        pair.close_tap(pair.legacy)
        pair.close()


def test_it_gives_rights_to_roles_that_an_administrator_has_made_and_leaves_them_at_the_end(
    plain: tuple[str, str], make_db: Callable[..., str]
) -> None:
    prepare(*plain, lambda conn: seed(conn, customers=10))
    names = [roles.name_role(ROUTE.name, kind) for kind in roles.KINDS]
    with db.connect(plain[1], "test") as shop, db.connect(make_db("admin"), "test") as admin:
        with pytest.raises(ConfigError) as caught:
            roles.create(shop, ROUTE)
        statements = str(caught.value).partition("then try again: ")[2]
        assert statements.count("CREATE ROLE") == statements.count("COMMENT ON ROLE") == 4
        admin.execute(statements.encode())
        try:
            assert [name for name, _ in roles.create(shop, ROUTE)] == names
            assert roles.create(shop, ROUTE)
            assert shop.execute(
                "SELECT has_function_privilege(%s, 'ferry_masked.customer(text, text)', 'EXECUTE'), "
                "has_table_privilege(%s, 'shop.customer', 'SELECT')",
                (names[1], names[3]),
            ).fetchall() == [(True, True)]
            with shop.transaction():
                done = roles.drop(shop, ROUTE)
            assert done.dropped == ["schema ferry_masked"]
            assert done.left == [
                f"role {n} is left, for we may not drop it: an administrator can, by DROP ROLE {n}" for n in names
            ]
        finally:
            for name in names:
                admin.execute(f"DROP ROLE {name}".encode())


def test_the_script_grants_what_marking_needs() -> None:
    granted = re.findall(r"^ +(pg_replication_origin\w+\(.*?\)),?$", SCRIPT, re.MULTILINE)
    assert sorted(granted) == sorted(origin.FUNCTIONS)
