"""Files of opt-outs: what each tool's export says, and what is wrong with a file, without a value of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from shopferry.control.optouts import CHANNELS, FORMATS, OptOut
from shopferry.engine import marks
from shopferry.errors import ConfigError
from shopferry.privacy.optout_files import READERS, read

FILES = Path(__file__).resolve().parents[1] / "optouts"
MAY, JUNE, JANUARY = (
    datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    datetime(2024, 6, 1, 12, tzinfo=UTC),
    datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC),
)
Said = tuple[str, str, str, datetime | None]  # address, channel, reason, time


def said(*given: Said) -> set[OptOut]:
    return {
        OptOut(marks.make(address), "phone" if address[0] == "+" else "email", channel, reason, at)
        for address, channel, reason, at in given
    }


@pytest.mark.parametrize(
    ("name", "form", "lines", "expected"),
    [
        (
            "mailchimp_unsubscribed",
            "mailchimp",
            2,
            said(("jan@example.com", "email", "unsubscribed", MAY), ("ewa@example.com", "email", "complained", JUNE)),
        ),
        ("mailchimp_cleaned", "mailchimp", 1, said(("gone@example.com", "email", "bounced", JANUARY))),
        (
            "brevo",
            "brevo",
            4,
            said(
                ("jan@example.com", "email", "unsubscribed", None),
                ("+48602345678", "sms", "unsubscribed", None),
                ("zofia@example.com", "sms", "unsubscribed", None),
            ),
        ),
        (
            "klaviyo",
            "klaviyo",
            4,
            said(
                ("jan@example.com", "email", "unsubscribed", MAY),
                ("gone@example.com", "email", "bounced", JANUARY),
                ("ewa@example.com", "email", "complained", JUNE),
                ("zofia@example.com", "email", "unsubscribed", None),
            ),
        ),
        (
            "hubspot_contacts",
            "hubspot",
            4,
            said(
                ("jan@example.com", "email", "unsubscribed", None),
                ("ewa@example.com", "email", "unsubscribed", None),
                ("gone@example.com", "email", "bounced", None),
            ),
        ),
        (
            "hubspot_unsubscribes_and_bounces",
            "hubspot",
            3,
            said(
                ("jan@example.com", "email", "unsubscribed", None),
                ("gone@example.com", "email", "bounced", None),
                ("ewa@example.com", "email", "complained", None),
            ),
        ),
        (
            "register",
            "csv",
            3,
            said(
                ("+48601234567", "phone", "register", datetime(2024, 5, 6, tzinfo=UTC)),
                ("+48601234567", "sms", "unsubscribed", MAY),
                ("jan@example.com", "sms", "unsubscribed", MAY),
                *(("ewa@example.com", channel, "unsubscribed", None) for channel in CHANNELS),
            ),
        ),
    ],
)
def test_each_export_is_read(name: str, form: str, lines: int, expected: set[OptOut]) -> None:
    content = (FILES / f"{name}.csv").read_bytes()
    for written in (content, b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")):
        found = read(written, name, form)
        assert set(found.optouts) == expected
        assert (len(found.optouts), found.lines) == (len(expected), lines)


def test_every_format_has_a_reader() -> None:
    assert tuple(READERS) == FORMATS


def test_an_address_that_stands_there_twice_counts_once_by_its_latest_time() -> None:
    rows = ["email,channel,reason,at"]
    rows += [f"jan@example.com,email,unsubscribed,{at}" for at in ("2024-05-06", "2024-06-01 12:00:00", "2023-01-02")]
    assert [o.at for o in read("\n".join(rows).encode(), "f", "csv").optouts] == [JUNE]
    rows.append("Jan@Example.com,email,unsubscribed,")
    assert [o.at for o in read("\n".join(rows).encode(), "f", "csv").optouts] == [None]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("content", ["", "\n", "jan@example.com\n", '"unclosed', "a\tb\tc\n1\t2\t3\n"])
def test_a_file_without_its_header_is_refused_and_told_what_it_lacks(form: str, content: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(content.encode(), "list.csv", form)
    assert f"list.csv: the first line is not the header of a file from {form}: it lacks " in str(refused.value)
    assert "jan@" not in str(refused.value)


@pytest.mark.parametrize(
    ("form", "header", "lacks"),
    [
        ("mailchimp", "Email Address,First Name,OPTIN_TIME", "it lacks UNSUB_TIME or CLEAN_TIME"),
        ("brevo", "EMAIL,EMAIL_MARKETING", "it lacks EMAIL, EMAIL_MARKETING or SMS_MARKETING"),
        ("klaviyo", "Email,Timestamp", "it lacks Suppression Reason, Suppression Timestamp"),
        ("hubspot", "Email,First Name", "it lacks Unsubscribed from all email or "),
        ("csv", "email,channel", "it lacks reason"),
        ("csv", "email,email,channel,reason", "names email twice"),
    ],
)
def test_what_a_header_lacks_is_named(form: str, header: str, lacks: str) -> None:
    with pytest.raises(ConfigError, match=lacks):
        read(f"{header}\n".encode(), "list.csv", form)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("latin-1", "line 3 is not UTF-8"), ("utf-16", "is UTF-16: save it as UTF-8"), ("cp1250", "line 3 is not UTF-8")],
)
def test_another_encoding_is_refused_by_name(encoding: str, told: str) -> None:
    content = "email,channel,reason,name\njan@example.com,email,bounced,Jan\newa@example.com,email,bounced,Zoé\n"
    with pytest.raises(ConfigError, match=told):
        read(content.encode(encoding), "list.csv", "csv")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("jan@,,email,unsubscribed,", "email_invalid"),
        ("jan@example.com; ewa@example.com,,email,unsubscribed,", "email_several"),
        (",,email,unsubscribed,", "neither email nor phone"),
        (",601234567,sms,unsubscribed,", "the phone number does not begin with +"),
        (",+48 12,sms,unsubscribed,", "phone_invalid"),
        ("jan@example.com,,fax,unsubscribed,", "channel is none of email, sms, phone, post, all"),
        ("jan@example.com,,,unsubscribed,", "channel is none of"),
        ("jan@example.com,,email,tired,", "reason is none of unsubscribed, bounced, complained, register"),
        ("jan@example.com,,email,bounced,06/05/2024", "the time is not written as"),
        ("jan@example.com,,email,bounced,1970-01-01", "before 1995 or in the future"),
        ("jan@example.com,,email,bounced,2999-01-01", "before 1995 or in the future"),
        ("jan@example.com,,email,bounced", "4 fields, and the header has 5"),
        ('jan@example.com,,"email"x,bounced,', "its quotation marks do not match"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_number_and_shows_no_value(line: str, told: str) -> None:
    content = f"email,phone,channel,reason,at\newa@example.com,,email,bounced,\n\n{line}\n"
    with pytest.raises(ConfigError) as refused:
        read(content.encode(), "list.csv", "csv")
    text = str(refused.value)
    assert "list.csv: nothing of the file was taken, since 1 of its lines cannot be read: line 4: " in text
    assert told in text
    assert "jan" not in text and "48" not in text and "601" not in text


def test_ten_faulty_lines_are_named_and_the_rest_counted() -> None:
    content = "email,channel,reason\n" + "nobody,email,bounced\n" * 13
    with pytest.raises(
        ConfigError, match=r"since 13 of its lines cannot be read.*line 11: email_invalid; and 3 more\."
    ) as refused:
        read(content.encode(), "list.csv", "csv")
    assert "line 12" not in str(refused.value)


@pytest.mark.parametrize(
    ("form", "content", "told"),
    [
        ("brevo", "EMAIL;EMAIL_MARKETING\njan@example.com;maybe\n", "EMAIL_MARKETING is neither yes nor no"),
        ("brevo", "EMAIL;SMS;SMS_MARKETING\n;;Blocklisted\n", "email_missing"),
        ("hubspot", "Email,Unsubscribed from all email\njan@example.com,perhaps\n", "is neither yes nor no"),
        (
            "klaviyo",
            "Email,Suppression Reason,Suppression Timestamp\njan@example.com,TIRED,2024-05-06\n",
            "Suppression Reason is none of HARD_BOUNCE",
        ),
        ("mailchimp", "Email Address,UNSUB_TIME\njan@example.com,yesterday\n", "the time is not written as"),
    ],
)
def test_a_word_that_a_tool_does_not_write_is_a_fault(form: str, content: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"line 2: .*{told}"):
        read(content.encode(), "list.csv", form)
