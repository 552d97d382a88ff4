"""The pages that people read: links resolve, pages are reached, rows are short, and what they say of the program is true."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import pytest
from shopferry import kafka_security
from shopferry.cli import build_parser
from shopferry.settings import PROJECT, read_announcing, read_own_commands

DOCS = PROJECT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
LONGEST_ROW = 300  # characters; what needs more is a paragraph, not a row


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def prose(page: Path) -> str:
    """The page without its blocks of code, in which brackets are no links."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """What the page links to within the repository, as it is written there."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "``", prose(page)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: the page has no such heading"


def commands(page: Path) -> list[str]:
    """Each command line of shopferry that the page shows, in blocks of code and within the text, without its comment."""
    spans = re.findall(r"^```sh\n(.*?)^```$|`([^`\n]+)`", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block, inline in spans for line in (block or inline).splitlines()]
    found = [command for line in lines for command in re.findall(r"(?:^|\bbin/|&& )(shopferry .*?)(?=&|#|\||$)", line)]
    return [command.strip() for command in found]


def require_command(command: str) -> None:
    """Fail unless the program has this verb, with each option that is named."""
    verb = build_parser()
    words = command.split()[1:]
    while words and (branch := [a for a in verb._actions if isinstance(a, argparse._SubParsersAction)]):
        if words[0] not in branch[0].choices:
            break
        verb = branch[0].choices[words.pop(0)]
    assert verb.get_default("run"), f"{command}: there is no such verb"
    options = {option for action in verb._actions for option in action.option_strings}
    assert {word for word in words if word.startswith("--")} <= options, f"{command}: there is no such option"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    for command in commands(page):
        require_command(command)


def test_commands_are_found_where_pages_show_them() -> None:
    assert "shopferry cutover --dry-run" in commands(PROJECT / "README.md")
    assert "shopferry phase run contacts" in commands(DOCS / "tutorial.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_merge_was_left_half_done(page: Path) -> None:
    assert re.findall(r"^(?:<<<<<<<|>>>>>>>|=======$).*", page.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_row_of_a_table_is_too_long(page: Path) -> None:
    rows = [line for line in prose(page).splitlines() if line.startswith("|")]
    assert [row for row in rows if len(row) > LONGEST_ROW] == []


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "README.md"
    reached = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    assert [name_of(page) for page in sorted(DOCS.rglob("*.md")) if page not in reached and page != index] == []


def test_the_design_draws_the_layers_that_are_checked_and_contributing_lists_every_room() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    drawn = (DOCS / "explanation" / "design.md").read_text().split("```text\n")[1].split("```")[0]
    assert drawn.splitlines() == layers
    listed = re.findall(r"^\| `([^`]+)`", (PROJECT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert {room for line in layers for room in line.split(" | ")} == set(" ".join(listed).replace("/", "").split())


def test_the_settings_page_lists_the_environment_that_the_program_reads() -> None:
    """`Settings` names its variables by its fields, the other modules by their whole names."""
    sources = "\n".join(file.read_text() for file in (PROJECT / "include" / "shopferry").rglob("*.py"))
    read = set(re.findall(r'environ(?:\.get\(|\[)"(SHOPFERRY_\w+)"', sources))
    read |= {
        f"SHOPFERRY_{name.upper()}"
        for name in ("legacy_dsn", "shop_dsn", "kafka", *read_own_commands(), *read_announcing())
    }
    read |= {*kafka_security.VARIABLES.values(), kafka_security.PASSWORD_FILE}
    listed = re.findall(r"^\| `(SHOPFERRY_\w+)` \|", (DOCS / "reference" / "settings.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(read)


def test_the_route_folder_page_names_every_file_of_the_demo() -> None:
    page = (DOCS / "reference" / "route-folder.md").read_text()
    names = {path.name for path in (PROJECT / "include" / "sql" / "demo").iterdir()}
    assert {name for name in names if name not in page} == set()


def test_every_page_that_the_code_names_exists() -> None:
    places = [PROJECT / name for name in ("include", "dags", "plugins", "tests", "benchmarks", "docker")]
    files = [
        f for place in places for f in place.rglob("*") if f.suffix in {".py", ".sql", ".toml", ".txt", ".html", ".sh"}
    ]
    files += [
        PROJECT / name for name in ("Makefile", "docker-compose.yml", ".env.example", "pyproject.toml", ".ci/run")
    ]
    named = {page for file in files for page in re.findall(r"docs/[\w/-]+\.(?:md|csv)", file.read_text())}
    assert len(named) > 10
    assert [page for page in sorted(named) if not (PROJECT / page).exists()] == []
