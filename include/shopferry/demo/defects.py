"""What is wrong with the data of real shops, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./"


@dataclass(frozen=True)
class Rates:
    """Shares of rows (0–1) that carry a defect; the defaults are of the order seen in shops of twenty years."""

    duplicate: float = 0.025  # customers who have an older account under the same e-mail
    soft_deleted: float = 0.02
    blocked: float = 0.01
    email_invalid: float = 0.003
    email_missing: float = 0.001
    mojibake: float = 0.02  # per text with Polish letters
    html_escaped: float = 0.003
    nul_junk: float = 0.002
    name_shouted: float = 0.03
    name_reversed: float = 0.01
    name_too_long: float = 0.0005
    phone_missing: float = 0.1
    phone_unusable: float = 0.01
    phone_several: float = 0.01
    postcode_without_dash: float = 0.08
    postcode_invalid: float = 0.003
    country_by_name: float = 0.3
    country_unknown: float = 0.001
    date_in_future: float = 0.001
    date_missing: float = 0.0005
    password_unknown: float = 0.01
    address_deleted: float = 0.04
    address_orphan: float = 0.001
    consent_unproven: float = 0.15
    consent_withdrawn: float = 0.15
    consent_orphan: float = 0.001
    channel_unknown: float = 0.001
    consent_of_guest: float = 0.01  # per account
    consent_refuses_all: float = 0.003  # per account: a refusal by a channel that nobody knows
    consent_text_unusable: float = 0.1  # of accounts before 2012
    consent_to_confirm: float = 0.06  # per account: by a link in an e-mail, which a third never follow
    consent_in_future: float = 0.002  # per account
    guest: float = 0.12  # orders
    guest_with_account: float = 0.3  # guests whose e-mail is that of an account
    order_orphan: float = 0.002
    status_unknown: float = 0.002
    status_old_code: float = 0.1
    total_differs: float = 0.01
    currency_odd: float = 0.01
    currency_unknown: float = 0.0005
    payment_unknown: float = 0.001
    line_orphan: float = 0.0005
    quantity_not_positive: float = 0.0005
    invoice_orphan: float = 0.0005
    invoice_total_missing: float = 0.0002
    tax_number_invalid: float = 0.02  # of companies' invoices
    points_differ: float = 0.03
    points_negative: float = 0.001
    tier_unknown: float = 0.002
    entry_kind_unknown: float = 0.001
    account_orphan: float = 0.002
    frequency_unknown: float = 0.003  # per account
    topic_unknown: float = 0.02  # of those who chose topics
    end_invalid: float = 0.005  # of rewards and promotions
    reward_without_points: float = 0.002
    reward_without_letter: float = 0.2  # of those that are open or taken
    reward_contradicts: float = 0.002
    promotion_twice: float = 0.1
    promotion_kind_unknown: float = 0.02


def misread(text: str) -> str:
    """Misread UTF-8 as ISO-8859-2."""
    return text.encode().decode("iso8859-2")


def damage(rng: Random, rates: Rates, text: str) -> str:
    """Return a text as an old shop may hold it: misread, escaped, with junk, or as it should be."""
    dice = rng.random()
    if dice < rates.nul_junk:
        return text + "\\x00"
    if dice < rates.nul_junk + rates.html_escaped:
        return text.replace("ó", "&oacute;").replace("a", "&#97;", 1)
    if dice < rates.nul_junk + rates.html_escaped + rates.mojibake and not text.isascii():
        return misread(text)
    return text


def vary_email(rng: Random, email: str) -> str:
    """Return the same address as its owner types it another time."""
    return rng.choice((email, email.upper(), email.capitalize(), f" {email}", f"{email} ", email.replace("@", " @")))


def draw_phone(rng: Random, rates: Rates, country: str) -> str | None:
    """Draw a telephone number in one of the shapes people write."""
    dice = rng.random()
    if dice < rates.phone_missing:
        return None if dice < rates.phone_missing / 2 else ""
    dice -= rates.phone_missing
    if dice < rates.phone_unusable:
        return rng.choice(("brak", "000000000", "123456789", "601 23", "-"))
    if country != "PL":
        prefix, digits = {"DE": ("+49 171 ", 7), "CZ": ("+420 601 ", 6), "GB": ("+44 7911 ", 6)}[country]
        return f"{prefix}{rng.randrange(10 ** (digits - 1), 10**digits)}"
    a, b, c = rng.choice((501, 502, 601, 602, 603, 691, 692, 695, 721, 883)), rng.randrange(1000), rng.randrange(1000)
    shape = rng.randrange(8)
    if dice < rates.phone_unusable + rates.phone_several:
        return f"{a}{b:03d}{c:03d}, 22 826 50 {rng.randrange(100):02d}"
    return (
        f"{a}{b:03d}{c:03d}",
        f"{a} {b:03d} {c:03d}",
        f"{a}-{b:03d}-{c:03d}",
        f"+48 {a} {b:03d} {c:03d}",
        f"0048{a}{b:03d}{c:03d}",
        f"(+48) {a}{b:03d}{c:03d}",
        f"48{a}{b:03d}{c:03d}",
        f"tel. {a} {b:03d} {c:03d}",
    )[shape]


_NIP_WEIGHTS = (6, 5, 7, 2, 3, 4, 5, 6, 7)


def draw_tax_number(rng: Random, rates: Rates, country: str) -> str:
    """Draw a company's tax number in one of the spellings that invoices carry."""
    if rng.random() < rates.tax_number_invalid:
        return rng.choice(("brak", "0000000000", "526-000-12-47", "123-45-67-89"))
    if country != "PL":
        return f"{country}{rng.randrange(10**8, 10**9)}"
    check = 10
    while check == 10:  # such numbers are not given out
        digits = [rng.randrange(1, 10), *(rng.randrange(10) for _ in range(8))]
        check = sum(w * d for w, d in zip(_NIP_WEIGHTS, digits, strict=True)) % 11
    nip = "".join(map(str, (*digits, check)))
    return (
        nip,
        f"{nip[:3]}-{nip[3:6]}-{nip[6:8]}-{nip[8:]}",
        f"{nip[:3]}-{nip[3:5]}-{nip[5:7]}-{nip[7:]}",
        f"PL{nip}",
        f"NIP: {nip[:3]} {nip[3:6]} {nip[6:8]} {nip[8:]}",
        f"NIP {nip}",
    )[rng.randrange(6)]


def write_date(rng: Random, day: date) -> str | None:
    """Write a date in text, in the format of its year."""
    return (day.isoformat(), f"{day:%d.%m.%Y}", f"{day:%Y-%m-%d} 00:00:00", "0000-00-00", "", None)[rng.randrange(6)]


def draw_password(rng: Random, rates: Rates) -> tuple[str, str | None]:
    """Draw (hash, salt) of one of the generations of hashing; it is random, and so the password of no one."""
    dice = rng.random()
    if dice < rates.password_unknown:
        return rng.choice(("", "haslo123", f"$X${rng.getrandbits(64):016x}")), None
    if dice < 0.1:
        return f"{rng.getrandbits(128):032x}", None
    if dice < 0.2:
        return f"{rng.getrandbits(128):032x}:{rng.getrandbits(16):04x}", None
    if dice < 0.35:
        return f"{rng.getrandbits(160):040x}", f"{rng.getrandbits(36):09x}"
    if dice < 0.55:
        return f"$P$B{''.join(rng.choices(_BASE64, k=30))}", None
    if dice < 0.9:
        return f"$2y$10${''.join(rng.choices(_BASE64, k=53))}", None
    if dice < 0.95:
        return f"$wp$2y$10${''.join(rng.choices(_BASE64, k=53))}", None
    return (
        f"$argon2id$v=19$m=65536,t=4,p=1${''.join(rng.choices(_BASE64, k=22))}${''.join(rng.choices(_BASE64, k=43))}",
        None,
    )
