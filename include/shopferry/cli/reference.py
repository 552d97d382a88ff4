"""The reference page of the command line, made from the parser itself: `python -m shopferry.cli.reference`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from shopferry.cli import build_parser


def render() -> str:
    """Render the page as Markdown; a test compares it with docs/reference/cli.md."""
    lines = [
        "# The command line",
        "",
        "Made from the program itself (`python -m shopferry.cli.reference > docs/reference/cli.md`); a test keeps it true.",
        "",
        "Exit codes: 0 done or all is well; 1 refused, different or failed, the reason on stderr; 2 wrong usage.",
        "",
    ]
    return "\n".join([*lines, *_render_verbs(build_parser(), "shopferry")]).rstrip() + "\n"


def _render_verbs(of: argparse.ArgumentParser, path: str) -> Iterator[str]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from _render_verb(child, f"{path} {name}")


def _render_verb(of: argparse.ArgumentParser, path: str) -> Iterator[str]:
    group = any(isinstance(a, argparse._SubParsersAction) for a in of._actions)
    if group and not of.get_default("run"):
        yield from _render_verbs(of, path)
        return
    yield from (f"## `{path}`", "", of.description or "", "", "| argument | meaning |", "| --- | --- |")
    for action in of._actions:
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            value = (
                "" if action.nargs == 0 or not action.option_strings else f" {action.metavar or action.dest.upper()}"
            )
            name = action.option_strings[0] if action.option_strings else action.dest
            yield f"| `{name}{value}` | {action.help} |"
    yield ""
    if group:  # a verb by itself that has others below it
        yield from _render_verbs(of, path)


if __name__ == "__main__":
    print(render(), end="")
