"""Backups: taken at a snapshot, proved by a restore, asked for by the cutover's gate; what is damaged is told."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from pair import Pair
from shopferry import cli, db
from shopferry.backup import backup, dump
from shopferry.control import backups
from shopferry.cutover import gates
from shopferry.errors import BackupError, ConfigError, TransientError
from shopferry.route.settings import STORES
from shopferry.settings import Settings
from shopferry.stores import scratch
from test_backfill import dsns


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of this test's own."""
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    for name in ("BACKUP_COMMAND", "RESTORE_COMMAND", "BACKUP_ENCRYPT", "BACKUP_DECRYPT"):
        monkeypatch.delenv(f"SHOPFERRY_{name}", raising=False)
    return tmp_path


def settings_of(pair: Pair, **own: str) -> Settings:
    return Settings(*dsns(pair), kafka="", **own)


def files(data: Path) -> list[str]:
    return sorted(f.name for f in (data / "backups").iterdir())


def gate(pair: Pair) -> bool:
    return gates._backups(pair.stores).met


def test_a_backup_is_what_stood_in_the_store_and_only_for_us(filled: Pair, data: Path) -> None:
    filled.pass_phases(["contacts"])
    made = [backup.take(settings_of(filled), "me", store, test_restore=True) for store in STORES]
    assert files(data) == sorted(Path(m.file).name for m in made)
    for m in made:
        file = Path(m.file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert (m.bytes, m.sha256) == (file.stat().st_size, backup.compute_checksum(file))
        assert dump.is_archive(file)
        assert m.tested and m.problem is None and m.proven and m.seconds > 0 and m.who == "me"
    legacy, shop = made
    (customers,) = filled.legacy.execute("SELECT count(*) FROM customers").fetchone() or (0,)
    assert legacy.tables["public.customers"] == customers > 0
    assert shop.tables["shop.customer"] == filled.one("SELECT count(*) FROM shop.customer") > 0
    assert shop.tables["ferry.identity"] > 0 and shop.tables["mirror.customers"] == customers
    left = filled.ask("SELECT datname FROM pg_database WHERE datname LIKE 'shopferry%restore'")
    assert left == []


def test_what_is_written_meanwhile_is_not_in_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are counted in the very snapshot that is dumped."""
    dumped = dump.dump

    def late(*given: object, **more: object) -> None:
        pair.write("INSERT INTO customers (email) VALUES ('late@example.com')")
        dumped(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(dump, "dump", late)
    made = backup.take(settings_of(pair), "me", "legacy", test_restore=True)
    assert made.tables["public.customers"] == 0
    assert made.proven


def test_no_password_is_on_a_command_line(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    ran = dump._run
    monkeypatch.setattr(dump, "_run", lambda command, env: (seen.append(list(command)), ran(command, env)))
    backup.take(settings_of(pair), "me", "shop", test_restore=True)
    assert len(seen) == 2
    assert "secret" not in str(seen)


@pytest.mark.parametrize("tail", [b"", b"\x00" * 64], ids=["cut off", "overwritten"])
def test_a_damaged_dump_is_told_by_its_checksum_and_by_the_restore(
    filled: Pair, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(filled)
    made = backup.take(settings, "me", "legacy")
    whole = Path(made.file).read_bytes()
    Path(made.file).write_bytes(whole[: len(whole) * 2 // 3] + tail)
    with pytest.raises(BackupError, match="checksum differs"):
        backup.test(settings, made)
    monkeypatch.setattr(backup, "compute_checksum", lambda file: made.sha256)  # it was written so already
    with pytest.raises(
        BackupError, match=rf"backup {made.id} of store legacy cannot be restored: pg_restore failed"
    ) as told:
        backup.test(settings, made)
    assert "@" not in str(told.value)
    (booked,) = backups.list_all(filled.shop, "demo")
    assert booked.tested and booked.problem and not booked.proven
    Path(made.file).write_bytes(whole)
    assert backup.test(settings, made).proven  # the last try counts


def test_a_dump_that_lacks_rows_or_tables_is_told(filled: Pair) -> None:
    settings = settings_of(filled)
    made = backup.take(settings, "me", "legacy")
    for tables, told in (
        ("tables || '{\"public.customers\": 7}'", "the first is public.customers: [0-9]+ instead of 7"),
        ("tables || '{\"public.gone\": 1}'", "1 tables are missing after the restore, the first is public.gone"),
    ):
        filled.shop.execute(f"UPDATE ferry.backup SET tables = {tables}".encode())
        with pytest.raises(BackupError, match=told):
            backup.test(settings, backups.find(filled.shop, "demo", made.id))


@pytest.mark.fresh
def test_the_teams_own_commands(filled: Pair, data: Path) -> None:
    server = filled.shop.info.server_version
    take = f'{dump.find_program("pg_dump", server)} --format=plain > "$SHOPFERRY_BACKUP_FILE" && echo "$SHOPFERRY_BACKUP_STORE"'
    back = f'{dump.find_program("psql", server)} -q -v ON_ERROR_STOP=1 -f "$SHOPFERRY_BACKUP_FILE"'
    settings = settings_of(filled, backup_command=take)
    made = backup.take(settings, "me", "legacy")
    assert made.method == "command" and b"CREATE TABLE public.customers" in Path(made.file).read_bytes()
    assert Path(made.file).with_suffix(".log").read_text() == "legacy\n"
    with pytest.raises(BackupError, match="SHOPFERRY_RESTORE_COMMAND"):
        backup.test(settings, made)
    filled.write("DROP PUBLICATION shopferry_demo")  # psql would make it in the scratch database as well
    settings = settings_of(filled, backup_command=take, restore_command=back)
    made = backup.take(settings, "me", "legacy", test_restore=True)
    assert made.proven
    cut = f'{take} && head -c 2000 "$SHOPFERRY_BACKUP_FILE" > {data}/x && mv {data}/x "$SHOPFERRY_BACKUP_FILE"'
    truncated = settings_of(filled, backup_command=cut, restore_command=back)
    with pytest.raises(BackupError, match="cannot be restored"):
        backup.take(truncated, "me", "legacy", test_restore=True)


KEY = "openssl enc -aes-256-cbc -pbkdf2 -pass pass:harmless"
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which encrypts here, is not installed")


@needs_openssl
def test_an_encrypted_dump_is_proved_by_a_restore_and_nothing_of_it_can_be_read(filled: Pair, data: Path) -> None:
    filled.write("UPDATE customers SET email = 'plainly.seen@example.com' WHERE id = 1")
    settings = settings_of(filled, backup_encrypt=KEY, backup_decrypt=f"{KEY} -d")
    made = backup.take(settings, "me", "legacy", test_restore=True)
    assert made.encrypted and made.proven and made.tables["public.customers"] > 0
    assert not dump.is_archive(Path(made.file)) and b"PGDMP" not in Path(made.file).read_bytes()
    assert files(data) == [Path(made.file).name]
    assert stat.S_IMODE(Path(made.file).stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="it is encrypted: say in SHOPFERRY_BACKUP_DECRYPT"):
        backup.test(settings_of(filled), made)
    wrong = settings_of(filled, backup_decrypt=f"{KEY.replace('harmless', 'wrong')} -d")
    with pytest.raises(BackupError, match=r"SHOPFERRY_BACKUP_DECRYPT ended with exit code 1|pg_restore failed"):
        backup.test(wrong, made)
    assert backup.test(settings, made).proven


@pytest.mark.parametrize(
    ("encrypt", "told"),
    [
        ("cat > /dev/null; echo jan@example.com >&2; exit 3", "^SHOPFERRY_BACKUP_ENCRYPT ended with exit code 3$"),
        ("exit 3", "^SHOPFERRY_BACKUP_ENCRYPT ended with exit code 3$"),  # pg_dump's pipe breaks: that is no reason
        ("cat > /dev/null", "^the backup of store shop left no file"),
    ],
)
def test_what_keeps_a_dump_from_being_encrypted_is_told_and_leaves_no_file(
    pair: Pair, data: Path, encrypt: str, told: str
) -> None:
    with pytest.raises(BackupError, match=told):
        backup.take(settings_of(pair, backup_encrypt=encrypt), "me", "shop")
    assert files(data) == [] and backups.list_all(pair.shop, "demo") == []


def test_a_dump_that_fails_is_told_though_its_half_was_encrypted(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "find_program", lambda *_: "/bin/false")
    with pytest.raises(BackupError, match=r"^false failed: it gave no reason$"):
        backup.take(settings_of(pair, backup_encrypt="cat"), "me", "shop")


def test_the_teams_own_command_encrypts_by_itself(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="let it encrypt them"):
        backup.take(settings_of(pair, backup_command="true", backup_encrypt="cat"), "me", "shop")


def test_a_backup_knows_its_end_from_birth(pair: Pair) -> None:
    made = backup.take(settings_of(pair), "me", "shop")
    assert made.keep_until - made.taken == timedelta(days=30) and made.removed is None
    pair.shop.execute("UPDATE ferry.backup SET removed = now(), tested = now()")
    (booked,) = backups.list_all(pair.shop, "demo")
    assert not booked.restorable and not booked.proven
    with pytest.raises(BackupError, match="its file was removed at its end"):
        backup.test(settings_of(pair), booked)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "echo jan@example.com >&2; exit 3",
            r"^SHOPFERRY_BACKUP_COMMAND ended with exit code 3 for store shop: see .*\.log$",
        ),
        ("true", "^the backup of store shop left no file"),
        ('rm "$SHOPFERRY_BACKUP_FILE"', "^the backup of store shop left no file"),
    ],
)
def test_a_command_that_fails_says_so_once_and_books_nothing(pair: Pair, data: Path, command: str, told: str) -> None:
    with pytest.raises(BackupError, match=told) as raised:
        backup.take(settings_of(pair, backup_command=command), "me", "shop")
    assert "jan@" not in str(raised.value)
    assert backups.list_all(pair.shop, "demo") == []
    assert [f for f in files(data) if not f.endswith(".log")] == []


@pytest.mark.fresh
def test_a_role_that_may_not_read_everything_is_told(pair: Pair, data: Path) -> None:
    pair.shop.execute("CREATE ROLE dumper LOGIN PASSWORD 'secret' CREATEDB")
    try:
        pair.legacy.execute(b"GRANT SELECT ON ALL TABLES IN SCHEMA public TO dumper")
        dsn = dsns(pair)[0].replace("user=shopferry", "user=dumper")
        with pytest.raises(BackupError, match="role dumper may not read all of store legacy: permission denied for"):
            backup.take(Settings(dsn, dsns(pair)[1], ""), "me", "legacy")
        assert files(data) == []
        # The team's own command may have other rights than ours.
        own = Settings(dsn, dsns(pair)[1], "", backup_command='echo receipt > "$SHOPFERRY_BACKUP_FILE"')
        made = backup.take(own, "me", "legacy")
        assert made.method == "command" and "public.customers" in made.tables and "shopferry.marker" not in made.tables
    finally:
        pair.legacy.execute("DROP OWNED BY dumper")
        pair.shop.execute("DROP ROLE dumper")


def test_a_role_that_may_not_make_scratch_databases_is_told(pair: Pair) -> None:
    pair.shop.execute("CREATE ROLE humble LOGIN PASSWORD 'secret'")
    try:
        dsn = dsns(pair)[1].replace("user=shopferry", "user=humble")
        with pytest.raises(ConfigError, match="ALTER ROLE humble CREATEDB"), scratch.create(dsn, "shopferry_x"):
            pass
    finally:
        pair.shop.execute("DROP ROLE humble")


def test_no_program_for_this_server_is_told_with_what_helps() -> None:
    with pytest.raises(ConfigError, match=r"no pg_dump for PostgreSQL 99 .*SHOPFERRY_BACKUP_COMMAND"):
        dump.find_program("pg_dump", 990000)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'pg_restore: error: COPY failed for table "customers": ERROR:  bad "jan@example.com"',
            'COPY failed for table "customers"',
        ),
        (
            "pg_restore: error: could not execute query: ERROR:  Key (email)=(jan@example.com)",
            "the server refused a statement",
        ),
        (
            "pg_restore: x\npg_restore: error: could not read from input file: end of file",
            "could not read from input file: end of file",
        ),
        ("", "it gave no reason"),
    ],
)
def test_a_reason_quotes_no_row(said: str, told: str) -> None:
    assert dump.find_reason(said) == told


def test_one_restore_test_at_a_time(pair: Pair) -> None:
    settings = settings_of(pair)
    made = backup.take(settings, "me", "shop")
    with db.connect(settings.target_dsn, "other") as other:
        other.execute("SELECT pg_advisory_lock(hashtext('scratch shopferry_demo_restore'))")
        with pytest.raises(TransientError, match="in use by another run"):
            backup.test(settings, made)
    assert backup.test(settings, made).proven


def test_before_the_first_merge_only_a_shop_with_rows_is_backed_up_and_once(filled: Pair, data: Path) -> None:
    settings = settings_of(filled)
    assert backup.take_before_merge(settings, "me") is None
    filled.pass_phases(["contacts"])
    assert backup.take_before_merge(settings, "me") is None  # these rows are ours
    assert backups.list_all(filled.shop, "demo") == []


def test_rows_that_were_there_before_us_are_backed_up_before_the_first_merge(filled: Pair) -> None:
    settings = settings_of(filled)
    filled.shop.execute("INSERT INTO ferry.prior_row VALUES ('shop.customer', '1')")
    made = backup.take_before_merge(settings, "me")
    assert made and (made.reason, made.store, made.tables["shop.customer"]) == ("before_merge", "shop", 0)
    filled.pass_phases(["contacts"])
    assert backup.take_before_merge(settings, "me") is None


def test_the_gate_wants_a_fresh_backup_of_both_stores_that_was_restored(pair: Pair) -> None:
    settings = settings_of(pair)
    assert not gate(pair)
    made = {store: backup.take(settings, "me", store) for store in STORES}
    assert "never restored" in gates._backups(pair.stores).evidence
    assert not gate(pair)
    backup.test(settings, made["legacy"])
    assert not gate(pair)
    backup.test(settings, made["shop"])
    assert gate(pair)
    pair.shop.execute("UPDATE ferry.backup SET taken = taken - interval '25 hours' WHERE store = 'shop'")
    assert not gate(pair)
    assert [m.store for m in backup.take_before_cutover(settings, "me")] == ["shop"]  # the other is fresh
    assert gate(pair)
    assert backup.take_before_cutover(settings, "me") == []
    pair.shop.execute("UPDATE ferry.backup SET problem = 'cut off'")
    assert not gate(pair)
    assert "cannot be restored" in gates._backups(pair.stores).evidence


def test_the_command_line(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, dsn in zip(("LEGACY_DSN", "SHOP_DSN"), dsns(pair), strict=True):
        monkeypatch.setenv(f"SHOPFERRY_{name}", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["backup", "--json", "--store", "legacy", "--who", "ann"]) == 0
    assert cli.main(["backup", "--test-restore"]) == 0
    capsys.readouterr()
    assert cli.main(["backup", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(b["store"], b["tested"] is not None) for b in listed] == [
        ("shop", True),
        ("legacy", True),
        ("legacy", False),
    ]
    assert listed[2]["who"] == "ann"
    monkeypatch.setenv("SHOPFERRY_BACKUP_COMMAND", "exit 1")
    assert cli.main(["backup", "--store", "shop"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "exit code 1" in said[0]


def test_without_shopferry_in_the_shop_it_says_what_to_do(make_db: object, pair: Pair) -> None:
    bare = make_db("bare")  # type: ignore[operator]
    with pytest.raises(ConfigError, match="phase init"):
        backup.take(Settings(dsns(pair)[0], bare, ""), "me", "legacy")


def test_what_the_environment_says_of_a_server_never_wins_over_the_dsn(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    told = dump.make_environment(dsns(pair)[0])
    assert told["PGDATABASE"] == pair.legacy.info.dbname and told["PGPASSWORD"] == "secret"
