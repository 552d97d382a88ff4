"""The languages of the pages: their catalogues say every message, and a sentence made elsewhere finds its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import catalogues
import pytest
from babel.messages.catalog import Catalog
from shopferry import pages
from shopferry.errors import ConfigError
from shopferry.pages import languages, words
from shopferry.pages.languages import LANGUAGES, list_places
from shopferry.route import language as route_language
from shopferry.route import settings as route_settings
from shopferry.route.people import ROLES
from shopferry.settings import SQL_ROOT

OTHERS = [code for code in LANGUAGES if code != languages.DEFAULT]
PLURALS = {"pl": 3, "ro": 3, "it": 2}
OURS = {code: languages.read(languages.FOLDER / f"{code}.po", code) for code in OTHERS}
DEMO = {code: languages.read(SQL_ROOT / "demo" / "locale" / f"{code}.po", code) for code in OTHERS}
EXTRACTED = catalogues.extract()


def keys(catalogue: Catalog) -> set[tuple[str | None, str | tuple[str, ...]]]:
    return {(m.context, m.id if isinstance(m.id, str) else tuple(m.id)) for m in catalogue if m.id}


def names(message: str) -> set[str]:
    return list_places(message)


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_holds_the_messages_of_the_code_and_no_others(code: str) -> None:
    """Else run: .venv/bin/python tests/catalogues.py, and translate what is new."""
    assert keys(OURS[code]) == keys(EXTRACTED)
    assert not OURS[code].obsolete and not DEMO[code].obsolete


def test_the_catalogues_of_the_demo_hold_the_same_messages() -> None:
    assert keys(DEMO["pl"]) == keys(DEMO["ro"]) == keys(DEMO["it"])


def test_what_the_files_of_the_demo_say_is_in_its_catalogues() -> None:
    """Else write it into all of include/sql/demo/locale."""
    from shopferry.assess import own_checks
    from shopferry.insight import audits
    from shopferry.report import audience, sums
    from shopferry.route import personal
    from shopferry.route.route import Route

    route = Route.load("demo")
    said = [t for a in audits.load(route) for t in (a.meaning, a.owner, a.unit, a.remedy)]
    said += [t for q in sums.load(route) for t in (q.title, q.about)]
    said += [t for c in own_checks.load(route) for t in (c.subject, c.finding, c.consequence, c.remedy)]
    said += [t for line in personal.load(route).lines for t in (*line.purposes, *line.see, *line.recipients, line.keep)]
    addressed, settings = audience.load(route), route_settings.load("demo")
    assert addressed
    said += [*(rule.wants for rule in addressed.rules), settings.responsible.owner, *settings.people.roles.values()]
    assert len(said) > 200
    language = languages.load("pl", SQL_ROOT / "demo" / "locale")
    assert {text for text in said if text and text not in language.messages} == set()


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("whose", ["ours", "the demo's"])
def test_every_message_is_translated_with_its_places_in_all_forms(code: str, whose: str) -> None:
    for message in (OURS if whose == "ours" else DEMO)[code]:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        forms = [message.string] if isinstance(message.string, str) else list(message.string)
        assert len(forms) == (1 if isinstance(message.id, str) else PLURALS[code]), message.id
        wanted = names(message.id if isinstance(message.id, str) else message.id[1])
        for form in forms:
            assert form and form.strip(), f"{message.id} is not translated"
            assert names(form) == wanted, f"{message.id}: {form}"
            assert re.findall(r"</?\w+>", form) == re.findall(r"</?\w+>", str(message.id) if len(forms) == 1 else form)
            assert form[:1].isspace() == str(message.id)[:1].isspace()


@pytest.mark.parametrize("code", OTHERS)
def test_commands_and_names_of_settings_stay_as_they_are(code: str) -> None:
    """What stands between backticks, in tags of code or is a word of SQL can be copied out of the page."""
    kept = re.compile(r"`[^`]*`|<code>.*?</code>|\b[A-Z]{4,}\b|\[[\w.]+\]|\b[a-z]+(?:_[a-z]+)+\b|\broute\.toml\b")
    others = {"GDPR", "in_sync", "cut_over", "on_call"}  # have names in each language
    for message in OURS[code]:
        if isinstance(message.id, str) and message.id:
            text = re.sub(r"\{[a-z_0-9]+\}|%\([a-z_0-9]+\)s", "", message.id)
            for word in set(kept.findall(text)) - others:
                assert word in re.sub(r"\{([a-z_0-9]+)\}", "", str(message.string)) or word in str(message.string), (
                    message.id
                )


@pytest.mark.parametrize("code", OTHERS)
def test_a_sentence_finds_its_own_message_whatever_its_values(code: str) -> None:
    """No message has the form of another, with more letters than its own."""
    language = languages.load(code, SQL_ROOT / "demo" / "locale")
    for form in language.forms:
        said = re.sub(r"\{([a-z_0-9]+)\}", r"<\1>", form.message)
        own = {m.group(1): f"<{m.group(1)}>" for m in re.finditer(r"\{([a-z_0-9]+)\}", form.message)}
        assert language.tell(said) == language.gettext(form.message).format(**own), form.message


def test_every_role_and_area_of_the_enumerations_has_a_word() -> None:
    from shopferry.control import audits, differences, pairs, requests
    from shopferry.control.phases import State
    from shopferry.privacy import consents
    from shopferry.route.personal import BASES, Category

    assert words.ROLES == ROLES
    for context, listed in (
        ("", [state.value.replace("_", " ") for state in State]),
        ("request", [*requests.KINDS, "open", "granted", "running", "done", "refused"]),
        ("pair", pairs.STATES),
        ("audit", audits.STATES),
        ("difference", differences.STATES),
        ("consent", [*consents.STATES, *consents.ACTS]),
        ("basis", BASES),
        ("data", [c.value for c in Category if c is not Category.NONE]),
    ):
        assert set(listed) <= set(words.WORDS[context]), context


def test_every_step_of_a_turn_has_a_word() -> None:
    folder = catalogues.ROOT / "cutover"
    steps = {s for file in folder.glob("*.py") for s in re.findall(r'\.lap\(f?"([^"]+)"', file.read_text())}
    assert len(steps) > 12
    assert {re.sub(r"\{[^}]+\}", "{name}", step) for step in steps} <= set(words.WORDS[""])


@pytest.mark.parametrize(
    ("sentence", "polish"),
    [
        ("contacts is verified, orders is in_sync", "contacts: zweryfikowana, orders: zsynchronizowana"),
        (
            "legacy: 1.2 h old, restored to try it; shop: none",
            "stary sklep: sprzed 1,2 h, odtworzona na próbę; nowy sklep: brak",
        ),
        ("about 1,200", "około 1\u00a0200"),
        ("table shop.customer does not exist", "tabela shop.customer nie istnieje"),
        ("last seen 3 s ago", "widziany 3 s temu"),
        ("all of that shop as it was on 2026-11-30", "cały ten sklep z dnia 30 lis 2026"),
        (
            "The phase orders is in_sync: run it to its end (DAG orders).",
            "Faza orders ma stan „zsynchronizowana”: wykonaj ją do końca (DAG orders).",
        ),
        (
            "now training, 2026-11-02 to 2026-11-20: Anna (care); told: Ewa (owner)",
            "teraz training, od 2 lis 2026 do 20 lis 2026: Anna (obsługa klienta); informowani: Ewa (właściciel)",
        ),
        ("a sentence of nobody's", "a sentence of nobody's"),
        ("", ""),
    ],
)
def test_a_sentence_is_told_in_the_language(sentence: str, polish: str) -> None:
    assert languages.load("pl").tell(sentence) == polish
    assert languages.load("en").tell(sentence) == sentence


def test_what_is_put_into_a_sentence_is_put_there_once() -> None:
    """A value that looks like a place, a command or a tag stays what it is."""
    told = languages.load("pl").tell("table {entity} <b>`x` does not exist")
    assert told == "tabela {entity} <b>`x` nie istnieje"


def test_polish_and_romanian_have_three_forms() -> None:
    shown = [languages.load("pl").translations.ngettext(*EXTRACTED_DAYS, n) for n in (1, 2, 5, 22)]
    assert [s.partition(" ")[0] for s in shown] == ["pozostał", "pozostały", "pozostało", "pozostały"]
    shown = [languages.load("ro").translations.ngettext(*EXTRACTED_DAYS, n) for n in (1, 2, 20)]
    assert [" de " in s for s in shown] == [False, False, True]


EXTRACTED_DAYS = ("%(days)s day left", "%(days)s days left")


def test_numbers_and_days_are_written_as_the_language_does() -> None:
    at = datetime(2026, 11, 30, 4, 5, 6, tzinfo=UTC)
    shown = {}
    for code in LANGUAGES:
        f = languages.load(code).formats
        shown[code] = [f.number(1234567), f.money(1234.5), f.share(12.5), f.duration(9000), f.day(at), f.moment(at)]
    assert shown["en"] == ["1\u202f234\u202f567", "1\u202f234.50", "12.50 %", "2.5 h", "2026-11-30", "2026-11-30 04:05"]
    assert shown["pl"][:3] == ["1\u00a0234\u00a0567", "1\u00a0234,50", "12,50%"]
    assert shown["ro"][4:] == ["30 nov. 2026", "30 nov. 2026, 04:05"]
    assert shown["it"][:2] == ["1.234.567", "1.234,50"] and shown["it"][3] == "2,5 h"


def test_the_language_is_that_of_the_route(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    said = tmp_path / "demo" / "route.toml"
    said.write_text('owner = "a"\ncontact = "b"\n')
    assert route_language.load("demo", tmp_path).code == "en"
    said.write_text('owner = "a"\ncontact = "b"\nlanguage = "ro"\n')
    assert route_language.load("demo", tmp_path).code == route_language.load("demo_reverse", tmp_path).code == "ro"
    for wrong in ("de", "PL"):
        said.write_text(f'owner = "a"\ncontact = "b"\nlanguage = "{wrong}"\n')
        with pytest.raises(
            ConfigError, match=f"demo/route.toml: language: the pages are not in '{wrong}': .* en, pl, ro, it"
        ):
            route_settings.load("demo", tmp_path)


def test_the_routes_own_catalogue_comes_first_and_may_be_in_english(tmp_path: Path) -> None:
    (tmp_path / "demo" / "locale").mkdir(parents=True)
    (tmp_path / "demo" / "route.toml").write_text('owner = "a"\ncontact = "b"\nlanguage = "en"\n')
    file = tmp_path / "demo" / "locale" / "en.po"
    file.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "zespół"\nmsgstr "the team"\n'
    )
    language = route_language.load("demo", tmp_path)
    assert language.tell("zespół") == "the team" and language.tell("Phases") == "Phases"
    assert languages.load("en").tell("zespół") == "zespół"  # no other route's
    file.write_text(file.read_text().replace("the team", "the group"))
    import os

    os.utime(file, ns=(1, 1))
    assert route_language.load("demo", tmp_path).tell("zespół") == "the group"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('msgid "a {table}"\nmsgstr "b {tabel}"\n', "pl.po:.*gives no {tabel}"),
        ('msgid "a"\nmsgstr "b"\nand so on\n', "pl.po is no catalogue"),
    ],
)
def test_a_catalogue_that_is_wrong_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "pl.po").write_text(f'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n{text}')
    with pytest.raises(ConfigError, match=says):
        languages.load("pl", tmp_path)


def test_every_page_says_its_language() -> None:
    templates = sorted(f.name for f in (catalogues.ROOT / "pages").glob("*.html"))
    assert len(templates) > 10
    for name in templates:
        text = (catalogues.ROOT / "pages" / name).read_text()
        assert '<html lang="{{ language }}">' in text or "<html" not in text
    assert '<html lang="it">' in pages.render("segments.html", languages.load("it"), route="demo", picture=None)
