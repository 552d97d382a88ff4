"""The witness: what legacy overwrites or deletes stays provable, however often its events are delivered."""

from __future__ import annotations

from pair import Pair, other_flow, read_dsn
from shopferry.engine.backfill import resync

EWA = (
    "INSERT INTO customers (id, email, full_name, phone, bill_country, newsletter, created_at) "
    "VALUES (1, 'ewa@example.com', 'Ewa Lis', '601234567', 'PL', 'N', '2015-01-01')"
)
YES = (
    "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
    "VALUES (5, 1, 'email', 'T', '2019-03-01', 'v1')"
)
STATES = "SELECT granted, granted_at::date::text, withdrawn_at::date::text, _gone FROM ferry.witness_consents ORDER BY id, _lsn"


def begin(pair: Pair) -> None:
    """Ewa has said yes, and her consent has been copied."""
    pair.write(EWA, YES)
    pair.sync()
    pair.pass_phases()
    assert state(pair) == ("granted", "proven")


def state(pair: Pair, channel: str = "email") -> tuple[str, str]:
    [found] = pair.ask(
        f"SELECT state::text, why FROM shop.consent WHERE purpose = 'marketing' AND channel = '{channel}'"
    )
    return found


def test_a_copied_row_is_the_first_state(pair: Pair) -> None:
    pair.write(EWA, YES)
    pair.tap.skip()
    pair.pass_phases()
    assert pair.ask(STATES) == [("T", "2019-03-01", None, False)]
    assert pair.one("SELECT _known BETWEEN now() - interval '1 minute' AND now() FROM ferry.witness_consents")
    resync(pair.stores, "test")
    assert pair.one("SELECT count(*) FROM ferry.witness_consents") == 1


def test_a_state_that_only_a_resync_has_brought_counts(pair: Pair) -> None:
    """An event does not carry infinity exactly: the mirror's row is read again, and the witness gets that state by a copy."""
    begin(pair)
    pair.write("UPDATE consents SET granted_at = 'infinity' WHERE id = 5")
    pair.sync()
    resync(pair.stores, "test", pair.log.ends)
    pair.check()


def test_events_of_before_the_copy_tell_when_and_what_was_before(pair: Pair) -> None:
    pair.write(EWA, YES)
    pair.write("UPDATE consents SET withdrawn_at = '2024-05-01' WHERE id = 5")
    pair.write("UPDATE consents SET withdrawn_at = NULL WHERE id = 5")
    pair.start("contacts")
    pair.copy("contacts")
    pair.merge("contacts")
    assert state(pair) == ("granted", "proven")
    pair.finish("contacts")
    assert state(pair) == ("withdrawn", "refused_for_address")
    pair.check()


def test_a_refusal_that_is_overwritten_within_a_batch_counts(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consents SET withdrawn_at = '2024-05-01' WHERE id = 5")
    pair.write("UPDATE consents SET withdrawn_at = NULL WHERE id = 5")
    pair.sync()
    assert pair.one("SELECT withdrawn_at FROM legacy.consents") is None
    assert state(pair) == ("withdrawn", "refused_for_address")
    assert [row[2] for row in pair.ask(STATES)] == [None, "2024-05-01", None]
    pair.check()


def test_a_later_yes_with_proof_answers_an_overwritten_refusal(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consents SET granted = 'N', granted_at = '2020-01-01' WHERE id = 5")
    pair.sync()
    assert state(pair) == ("withdrawn", "withdrawn")
    pair.write("UPDATE consents SET granted = 'T', granted_at = '2021-01-01' WHERE id = 5")
    pair.sync()
    assert state(pair) == ("granted", "proven")
    pair.write("UPDATE consents SET granted_at = '2019-12-31' WHERE id = 5")
    pair.sync()
    assert state(pair) == ("withdrawn", "refused_for_address")


def test_a_refusal_that_is_deleted_counts(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consents SET withdrawn_at = '2024-05-01' WHERE id = 5")
    pair.sync()
    pair.write(
        "DELETE FROM consents WHERE id = 5",
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        "VALUES (6, 1, 'email', 'T', '2019-03-01', 'v1')",
    )
    pair.sync()
    assert state(pair) == ("withdrawn", "refused_for_address")


def test_a_refusal_without_a_date_is_from_when_it_was_made_last(pair: Pair) -> None:
    begin(pair)
    refuse = "UPDATE consents SET granted = 'N', granted_at = NULL WHERE id = 5"
    pair.write(refuse)
    pair.write(
        "UPDATE consents SET granted = NULL WHERE id = 5",
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        "VALUES (6, 1, 'email', 'T', now() AT TIME ZONE 'Europe/Warsaw', 'v1')",
    )
    pair.sync()
    assert state(pair) == ("granted", "proven")
    pair.write(refuse)
    pair.sync()
    assert state(pair) == ("withdrawn", "withdrawn")
    pair.check()


def test_a_refusal_stays_with_the_address_that_its_account_had(pair: Pair) -> None:
    begin(pair)
    pair.write("INSERT INTO consents VALUES (6, 1, NULL, 'sms', 'T', '2019-03-01', NULL, 'v1', NULL, NULL)")
    pair.write(
        "INSERT INTO customers (id, email, full_name, phone, bill_country) "
        "VALUES (2, 'Ewa@Example.com', 'Ewa Lis', NULL, 'PL'), (3, 'jan@example.com', 'Jan Lis', '601 234 567', 'PL')",
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at) "
        "VALUES (7, 2, 'email', 'N', '2020-01-01'), (8, 3, 'sms', 'N', '2020-01-01')",
    )
    pair.sync()
    of_ewa = "SELECT state::text, why FROM shop.consent WHERE legacy_consent_id IN (5, 6)"
    assert pair.ask(of_ewa) == [("withdrawn", "refused_for_address")]  # the other account declared the no by e-mail
    pair.write("UPDATE customers SET email = 'ola@example.com' WHERE id = 2", "DELETE FROM customers WHERE id = 3")
    pair.sync()
    assert pair.ask(of_ewa) == [("withdrawn", "refused_for_address")] * 2
    pair.check()


def test_a_guests_refusal_counts_when_it_is_gone(pair: Pair) -> None:
    begin(pair)
    pair.write(
        "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at) "
        "VALUES (6, 0, 'EWA@example.com', 'email', 'N', '2020-01-01 12:00')"
    )
    pair.write("DELETE FROM consents WHERE id = 6")
    pair.sync()
    assert state(pair) == ("withdrawn", "refused_for_address")
    assert ("marketing", "email", "withdrawn", "2020-01-01", True) in chain(pair)
    pair.check()


def test_a_newsletter_refused_counts_when_the_flag_says_yes_again(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE customers SET newsletter_date = '2020-02-02' WHERE id = 1")
    pair.write("UPDATE customers SET newsletter = 'T', newsletter_date = '2021-02-02' WHERE id = 1")
    pair.sync()
    assert state(pair) == ("withdrawn", "refused_for_address")
    pair.check()


def test_a_declaration_leaves_an_act_with_each_account_that_it_was_of(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consents SET granted = 'N', customer_id = 0 WHERE id = 5")
    pair.write("UPDATE consents SET granted = 'T', customer_id = 1 WHERE id = 5")
    pair.sync()
    assert (
        pair.one("SELECT count(*) FROM shop.consent_event WHERE source_key LIKE 'consents:5/0:email:withdrawn:%'") == 1
    )
    pair.check()


def test_a_number_that_came_later_was_not_consented_to(pair: Pair) -> None:
    pair.write(EWA.replace("'601234567'", "NULL"))
    pair.write("INSERT INTO consents VALUES (6, 1, NULL, 'sms', 'T', '2019-03-01', NULL, 'v1', NULL, NULL)")
    pair.sync()
    pair.pass_phases()
    assert state(pair, "sms") == ("granted", "proven")  # there is nothing to write to
    pair.write("UPDATE customers SET phone = '601234567' WHERE id = 1")
    pair.sync()
    assert state(pair, "sms") == ("unproven", "address_changed")
    pair.check()


def test_events_that_come_again_book_nothing(pair: Pair) -> None:
    begin(pair)
    for day in ("2024-05-01", "2024-05-02"):
        pair.write(f"UPDATE consents SET withdrawn_at = '{day}' WHERE id = 5")
    pair.write("DELETE FROM consents WHERE id = 5")
    pair.sync()
    booked = pair.ask(STATES)
    assert len(booked) == 4 and booked[-1] == (None, None, None, True)
    pair.log.again(3)
    for partition, count in pair.pending().items():
        for _ in range(count):
            pair.replay({partition: 1})
    assert pair.ask(STATES) == booked


def test_what_the_other_flow_writes_is_not_booked(pair: Pair) -> None:
    begin(pair)
    with other_flow(pair.legacy.info.dsn + " password=secret") as flow:
        flow.execute("UPDATE consents SET withdrawn_at = '2024-05-01' WHERE id = 5")
    pair.sync()
    assert pair.one("SELECT withdrawn_at::date::text FROM legacy.consents") == "2024-05-01"
    assert len(pair.ask(STATES)) == 1


def test_what_an_echo_has_brought_counts_once_the_application_says_it_too(pair: Pair) -> None:
    """The event changes nothing in the mirror, which has it from the echo, and yet its state is a new one."""
    begin(pair)
    with other_flow(read_dsn(pair.legacy)) as legacy:
        legacy.execute("UPDATE consents SET withdrawn_at = '2024-05-01' WHERE id = 5")
    pair.sync()
    pair.write("UPDATE consents SET wording = 'v1' WHERE id = 5")
    pair.sync()
    pair.check()


def test_a_time_after_the_commit_is_no_proof_and_wins_nothing(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consents SET withdrawn_at = '2025-02-01' WHERE id = 5")
    pair.write(
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        "VALUES (6, 1, 'email', 'T', '2031-01-01', 'v1')"
    )
    pair.sync()
    assert state(pair) == ("withdrawn", "withdrawn")
    pair.write("DELETE FROM consents WHERE id = 5")
    pair.write("UPDATE consents SET channel = 'sms' WHERE id = 6")
    pair.sync()
    assert state(pair, "sms") == ("unproven", "consent_time_after_commit")


def test_a_changed_address_does_not_take_a_consent_along(pair: Pair) -> None:
    begin(pair)
    pair.write(
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        "VALUES (6, 1, 'sms', 'T', '2019-03-01', 'v1'), (7, 1, 'post', 'T', '2019-03-01', 'v1')"
    )
    pair.sync()
    pair.write("UPDATE customers SET email = 'ewa.lis@example.com' WHERE id = 1")
    pair.sync()
    assert state(pair) == ("unproven", "address_changed")
    assert state(pair, "sms") == ("granted", "proven")
    pair.write("UPDATE customers SET phone = '602000000' WHERE id = 1")
    pair.sync()
    assert state(pair, "sms") == ("unproven", "address_changed")
    assert state(pair, "post") == ("granted", "proven")
    pair.write("UPDATE consents SET granted_at = now() AT TIME ZONE 'Europe/Warsaw' WHERE id = 5")  # asked anew
    pair.sync()
    assert state(pair) == ("granted", "proven")
    pair.write("UPDATE customers SET email = ' EWA.LIS@example.com' WHERE id = 1")  # the same address
    pair.sync()
    assert state(pair) == ("granted", "proven")
    pair.check()


def test_a_text_that_counsel_rejects_takes_the_consents_to_it(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE consent_texts SET usable = 'N', why_not = 'no right to withdraw' WHERE version = 'v1'")
    pair.sync()
    assert state(pair) == ("unproven", "wording_unusable")
    pair.write("DELETE FROM consent_texts WHERE version = 'v1'")
    pair.sync()
    assert state(pair) == ("unproven", "wording_unknown")
    pair.write(
        "INSERT INTO consent_texts (version, body, purposes, channels, double_opt_in) "
        "VALUES ('v1', 'Tak', 'marketing', 'email', 'T')"
    )
    pair.sync()
    assert state(pair) == ("unproven", "consent_not_confirmed")
    pair.write("UPDATE consents SET confirmed_at = '2019-03-02' WHERE id = 5")
    pair.sync()
    assert state(pair) == ("granted", "proven")
    pair.check()


def chain(pair: Pair) -> list[tuple[str, str | None, str, str | None, bool]]:
    return pair.ask(
        "SELECT purpose::text, channel::text, act::text, happened_at::date::text, overwritten FROM shop.consent_event "
        "ORDER BY known_at, happened_at, act"
    )


def test_the_chain_has_every_act_once_and_says_what_legacy_says_no_more(pair: Pair) -> None:
    begin(pair)
    first = ("marketing", "email", "granted", "2019-02-28", False)
    assert chain(pair) == [first]
    pair.write("UPDATE consents SET withdrawn_at = '2024-05-01 12:00' WHERE id = 5")
    pair.write("UPDATE consents SET withdrawn_at = NULL, channel = 'e-mail' WHERE id = 5")
    pair.sync()
    taken = ("marketing", "email", "withdrawn", "2024-05-01", True)
    assert chain(pair) == [first, taken]
    pair.write("UPDATE customers SET newsletter = 'N', newsletter_date = '2020-02-02' WHERE id = 1")
    pair.sync()
    refused = ("newsletter", "email", "withdrawn", "2020-02-01", False)
    assert sorted(chain(pair)) == sorted([first, taken, refused])
    pair.write("DELETE FROM consents WHERE id = 5")
    pair.sync()
    assert sorted(chain(pair)) == sorted([(*first[:4], True), taken, refused])
    pair.log.again(4)
    pair.replay()
    assert len(chain(pair)) == 3
    pair.check()


def test_refusals_of_a_deleted_account_and_a_guest_stand_in_the_chain(pair: Pair) -> None:
    begin(pair)
    pair.write(
        "INSERT INTO customers (id, email, full_name, deleted) VALUES (2, 'ewa@example.com', 'Ewa Lis', 'T')",
        "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at) VALUES "
        "(6, 2, NULL, 'fax', 'N', '2022-01-01 12:00'), (7, 0, 'Ewa@Example.com', 'email', 'N', '2023-01-01 12:00')",
    )
    pair.sync()
    assert {row[1:4] for row in chain(pair)} == {
        ("email", "granted", "2019-02-28"),
        ("email", "withdrawn", "2023-01-01"),
        (None, "withdrawn", "2022-01-01"),
    }
    marks = pair.ask("SELECT DISTINCT address_mark FROM shop.consent_event WHERE channel = 'email'")
    assert len(marks) == 1 and marks[0][0]  # one address, however it is written
    assert marks == pair.ask("SELECT address_mark FROM shop.consent WHERE purpose = 'marketing'")


def test_an_address_that_is_another_stands_in_the_chain(pair: Pair) -> None:
    begin(pair)
    pair.write("UPDATE customers SET email = ' EWA@example.com' WHERE id = 1")  # written otherwise, and the same
    pair.write("UPDATE customers SET phone = '602345678' WHERE id = 1")  # nothing was declared for it
    pair.sync()
    moved = "SELECT channel::text, happened_at = known_at, address_mark FROM shop.consent_event WHERE act = 'moved'"
    assert pair.ask(moved) == []
    pair.write("UPDATE customers SET email = 'ewa.lis@example.com' WHERE id = 1")
    pair.sync()
    mark = pair.one("SELECT value FROM ferry.standardized WHERE kind = 'email_mark' AND raw = 'ewa.lis@example.com'")
    assert pair.ask(moved) == [("email", True, mark)]
    pair.check()
