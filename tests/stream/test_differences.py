"""What on-call does with differences, by the command line: see counts, rows, values; explain by name; repair."""

from __future__ import annotations

import json

import pytest
from live import Flow, order
from shopferry import cli

pytestmark = pytest.mark.stack
ONE, TWO = 7_500_001, 7_500_002  # numbers of its own: tests of other files may have written to this shop before
MAIL, DAMAGED = f"guest{ONE}@example.com", "someone.else@example.org"


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a verb prints, of which the exit code is known."""
    assert cli.main(words) == code
    return capsys.readouterr().out


def test_differences_are_listed_explained_and_repaired(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.write(order(ONE), order(TWO))
    flow.clean()
    with flow.shop.transaction():
        flow.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        flow.shop.execute("UPDATE shop.customer_order SET guest_email = %s WHERE id = %s", (DAMAGED, ONE))
        flow.shop.execute("UPDATE shop.customer_order SET note = 'damaged' WHERE id = %s", (TWO,))

    found = json.loads(said(capsys, "verify", "orders", "--json", code=1).partition("\n]")[0] + "]")
    assert [(f["phase"], f["differences"]) for f in found] == [("orders", 2)]
    assert f"{ONE}" not in said(capsys, "difference", "list")
    rows = said(capsys, "difference", "list", "--rows", "--phase", "orders")
    assert "guest_email" in rows
    assert f"{ONE}" in rows
    masked = said(capsys, "difference", "list", "--rows", "--json")
    for text in (MAIL, DAMAGED):
        assert text not in rows + masked
    listed = json.loads(
        said(capsys, "difference", "list", "--values", "--why", "test", "--target", "shop.customer_order", "--json")
    )
    assert {(d["key"], d["column"], d["expected"], d["found"]) for d in listed} == {
        (str(ONE), "guest_email", MAIL, DAMAGED),
        (str(TWO), "note", None, "damaged"),
    }

    explain = ["difference", "explain", "shop.customer_order", str(TWO), "--why", "agreed by phone", "--who", "ann"]
    assert json.loads(said(capsys, *explain, "--json")) == [{"explained": 1}]
    [told] = json.loads(said(capsys, "difference", "list", "--rows", "--state", "explained", "--json"))
    assert (told["explanation"], told["who"]) == ("agreed by phone", "ann")

    [done] = json.loads(said(capsys, "repair", "orders", "--json", "--who", "ann"))
    assert (done["differed"], done["repaired"], done["remaining"]) == (1, 1, 0)
    query = "SELECT guest_email, note FROM shop.customer_order WHERE id IN (%s, %s) ORDER BY id"
    assert flow.ask(query, ONE, TWO) == [(MAIL, None), (f"guest{TWO}@example.com", "damaged")]
    states = json.loads(said(capsys, "difference", "list", "--rows", "--state", "repaired", "--json"))
    assert str(ONE) in {d["key"] for d in states}

    flow.write(f"UPDATE orders SET note = 'changed' WHERE id = {TWO}")  # the next event brings what was explained
    flow.clean()
