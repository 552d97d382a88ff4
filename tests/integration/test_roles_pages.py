"""A page for each role: it is short, it has the same parts as the others, and all its commands run as they stand there."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pair import Pair, read_dsn
from shopferry import cli
from shopferry.control import routes
from shopferry.privacy import roles
from shopferry.settings import PROJECT, SQL_ROOT

PAGES = sorted((PROJECT / "docs" / "roles").glob("*.md"))
LONGEST = 60  # lines
PARTS = ["What you decide", "When you are asked", "What is none of your business"]
ON_THE_STACK = "# on the running stack"
ACCEPTED = '\n[cutover.acceptance]\norders = "finance"\nconsents = "data protection"\npoints = "marketing"\n'


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it, and whether it needs a broker, a connector or Airflow."""

    text: str
    on_the_stack: bool

    @property
    def words(self) -> list[str]:
        """Its words after `shopferry`."""
        first, *words = shlex.split(self.text, comments=True)
        assert first == "shopferry", self.text
        return words


def find_commands(page: Path) -> list[Shown]:
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [Shown(line[2:], line.endswith(ON_THE_STACK)) for line in lines]


@pytest.fixture(scope="module")
def moved_template(verified_template: tuple[str, str]) -> tuple[str, str]:
    """A generated shop that has moved and was verified."""
    return verified_template


@pytest.fixture
def at_work(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A moved shop without its stack, a folder with an export of a mail tool, and people who accept areas."""
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "routes" / "demo")
    with (tmp_path / "routes" / "demo" / "route.toml").open("a") as file:
        file.write(ACCEPTED)
    (tmp_path / "unsubscribed.csv").write_text(
        "Email Address,UNSUB_TIME\nsomebody@planted.example,2026-01-02 03:04:05\n"
    )
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("LEGACY_DSN", read_dsn(moved.legacy)),
        ("SHOP_DSN", read_dsn(moved.shop)),
        ("KAFKA", "127.0.0.1:1"),
        ("ROUTES", str(tmp_path / "routes")),
        ("DATA", str(tmp_path / "data")),
    ):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    yield moved
    moved.shop.execute("DROP DATABASE IF EXISTS shopferry_demo_rehearsal_shop WITH (FORCE)")
    for name in (roles.name_role("demo", kind) for kind in roles.KINDS):
        if moved.ask(f"SELECT FROM pg_roles WHERE rolname = '{name}'"):
            moved.shop.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_each_role_has_a_page() -> None:
    assert [page.stem for page in PAGES] == ["data-protection", "marketing", "on-call", "owner", "platform"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_has_the_parts_of_the_others(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert len(lines) <= LONGEST
    headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert [h for h in headings if h in PARTS] == PARTS
    assert any(line.startswith("Read on: ") for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_commands_that_the_program_takes(page: Path) -> None:
    shown = find_commands(page)
    assert len(shown) >= 3 and not all(one.on_the_stack for one in shown)
    for one in shown:
        cli.build_parser().parse_args(one.words)


@pytest.mark.fresh
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_one_after_the_other(
    at_work: Pair, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in find_commands(page):
        if not one.on_the_stack:
            code = cli.main(one.words)
            said = capsys.readouterr()
            assert (code, one.text) == (0, one.text), said.err
    assert routes.find_active(at_work.shop, "demo") == "legacy"
