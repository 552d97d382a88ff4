"""The two applications by themselves: what the tests of the move rely on."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from shopferry.demo.platforms.medusa import Customer, Medusa, serve
from shopferry.demo.platforms.provision import PROVIDER, Platforms
from shopferry.stack.state import choose_port

MakeDb = Callable[..., str]
EMAIL, PASSWORD = "jan.kowalski@example.com", "Hasło od dawna"


@pytest.fixture(scope="module")
def oscar(platforms: Platforms, make_template: MakeDb, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A small Oscar shop's database, and its ledger."""
    dsn, ledger = make_template("oscar"), tmp_path_factory.mktemp("oscar") / "ledger.jsonl"
    platforms.load(platforms.oscar_dump, dsn)
    platforms.run_oscar(dsn, "seed", "--accounts", "12", "--orders", "10", "--ledger", str(ledger))
    return dsn, ledger


@pytest.fixture(scope="module")
def medusa_dsn(platforms: Platforms, make_template: MakeDb) -> str:
    """The database of a Medusa shop that has sold nothing yet."""
    dsn = make_template("medusa")
    platforms.load(platforms.medusa_dump, dsn)
    return dsn


@pytest.fixture(scope="module")
def medusa(platforms: Platforms, medusa_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Medusa]:
    """Its server."""
    with serve(platforms.medusa, medusa_dsn, choose_port(set()), tmp_path_factory.mktemp("medusa") / "log") as server:
        yield server


def make_hash(platforms: Platforms, algorithm: str) -> str:
    """Have Django itself hash the password."""
    program = (
        "import sys; from django.conf import settings; settings.configure(PASSWORD_HASHERS=sys.argv[1:2]); "
        "from django.contrib.auth.hashers import make_password; print(make_password(sys.argv[2]))"
    )
    command = [str(platforms.oscar_python), "-c", program, f"django.contrib.auth.hashers.{algorithm}", PASSWORD]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_oscars_shop_is_what_its_ledger_says(platforms: Platforms, oscar: tuple[str, Path]) -> None:
    dsn, ledger = oscar
    facts = json.loads(platforms.run_oscar(dsn, "facts"))
    booked = [json.loads(line) for line in ledger.read_text().splitlines()]
    totals = {write["key"]: write["values"]["total"] for write in booked if write["what"] == "order"}

    assert {order["number"]: order["total"] for order in facts["orders"]} == totals
    assert len(totals) == 10
    assert len(facts["accounts"]) == 12 + 6


def test_oscar_takes_every_kind_of_hash_and_twins_with_a_password_each(
    platforms: Platforms, oscar: tuple[str, Path]
) -> None:
    dsn, ledger = oscar
    booked = [json.loads(line)["values"] for line in ledger.read_text().splitlines() if '"account"' in line]
    tried = [{"email": v["email"].upper(), "password": v["password"]} for v in booked]
    judged = json.loads(platforms.run_oscar(dsn, "log-ins", given=tried))
    refused = [each["email"] for each in judged if not each["accepted"]]

    assert refused == ["BLOCKED@EXAMPLE.COM", "UNUSABLE@EXAMPLE.COM"]
    with psycopg.connect(dsn) as conn:
        hashes = {row[0] for row in conn.execute("SELECT split_part(password, '$', 1) FROM auth_user")}
    assert {"pbkdf2_sha256", "bcrypt_sha256", "bcrypt", "md5"} <= hashes


def test_the_log_in_provider_passes_its_own_test_with_bcrypt(platforms: Platforms) -> None:
    done = subprocess.run(["node", "--test"], cwd=platforms.medusa / "auth-provider", capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert "# skipped 0" in done.stdout, done.stdout
    assert (platforms.medusa / "auth-provider" / "django.js").read_text() == (PROVIDER / "django.js").read_text()


@pytest.fixture(scope="module")
def registered(platforms: Platforms, medusa: Medusa) -> Customer:
    """A customer who registered with capitals in the e-mail, and is logged in."""
    mixed = EMAIL.replace("j", "J").replace("k", "K")
    body = {"email": mixed, "password": "secret123"}
    token = str(medusa.call("POST", "/auth/customer/emailpass/register", body)["token"])
    key = platforms.installed.front_key
    medusa.call("POST", "/store/customers", {"email": EMAIL, "first_name": "Jan"}, token=token, key=key)
    return Customer(medusa, medusa.log_in("customer", EMAIL, "secret123"), platforms.installed)


@pytest.mark.parametrize(
    "algorithm",
    [
        "PBKDF2PasswordHasher",
        "PBKDF2SHA1PasswordHasher",
        "BCryptSHA256PasswordHasher",
        "BCryptPasswordHasher",
        "MD5PasswordHasher",
    ],
)
def test_an_old_hash_opens_once_and_then_medusas_own_does(
    algorithm: str, platforms: Platforms, medusa: Medusa, medusa_dsn: str, registered: Customer
) -> None:
    legacy = {"scheme": "django", "hash": make_hash(platforms, algorithm)}
    with psycopg.connect(medusa_dsn, autocommit=True) as conn:
        update = "UPDATE provider_identity SET provider_metadata = %s WHERE entity_id = %s"
        conn.execute(update, [json.dumps({"legacy": legacy}), EMAIL])

        assert not medusa.log_in("customer", EMAIL, "Hasło Od Dawna")
        assert medusa.log_in("customer", f" {EMAIL.upper()}", PASSWORD)
        query = "SELECT provider_metadata FROM provider_identity WHERE entity_id = %s"
        [(stored,)] = conn.execute(query, [EMAIL]).fetchall()
    assert stored["legacy"] is None
    assert re.fullmatch(r"c2NyeXB0[A-Za-z0-9+/=]{120}", stored["password"])
    assert medusa.log_in("customer", EMAIL, PASSWORD)
    assert not medusa.log_in("customer", EMAIL, "Hasło Od Dawna")


def test_what_can_no_longer_be_verified_opens_nothing(medusa: Medusa, medusa_dsn: str, registered: Customer) -> None:
    for metadata in ({}, {"legacy": {"scheme": "django", "hash": f"!{PASSWORD}"}}, {"legacy": {"scheme": "?"}}):
        with psycopg.connect(medusa_dsn) as conn:
            update = "UPDATE provider_identity SET provider_metadata = %s WHERE entity_id = %s"
            conn.execute(update, [json.dumps(metadata), EMAIL])
        assert not medusa.log_in("customer", EMAIL, PASSWORD)


def test_a_customer_buys_and_sees_the_order(registered: Customer) -> None:
    bought = registered.buy(2)

    assert round(bought["total"], 2) == 74.79  # two mugs for 29.90 and the courier for 14.99, VAT included
    assert [order["id"] for order in registered("GET", "/orders")["orders"]] == [bought["id"]]
    assert [order["id"] for order in registered.medusa.admin().list_orders()] == [bought["id"]]
