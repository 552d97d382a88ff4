"""What the score is worth: 2,000 labelled pairs go through the whole search, and are compared with what it says of them."""

from __future__ import annotations

from collections import Counter

import labelled
from pair import Pair
from shopferry.insight import pair_files, pair_search, similarity

_PAIRS = 2_000
_LEAST_PRECISION, _LEAST_RECALL = 0.99, 0.9


def test_of_two_thousand_labelled_pairs_the_sure_ones_are_right_and_the_listed_ones_are_nearly_all(pair: Pair) -> None:
    pairs = list(labelled.make(_PAIRS))
    with pair.legacy.transaction():
        for n, one in enumerate(pairs):
            for key, account in ((2 * n + 1, one.one), (2 * n + 2, one.other)):
                pair.legacy.execute(
                    "INSERT INTO customers (id, full_name, email, phone, bill_street, bill_postcode, bill_country, active, "
                    "deleted) VALUES (%s, %s, %s, %s, %s, %s, 'PL', 'T', 'N')",
                    (
                        key,
                        f"{account.given} {account.family}",
                        account.email,
                        account.phone,
                        account.street,
                        account.postcode,
                    ),
                )
                if account.card:
                    pair.legacy.execute(
                        "INSERT INTO loyalty_accounts (id, customer_id, card_number, points) VALUES (%s, %s, %s, 0)",
                        (key, key, account.card),
                    )
    pair.pass_phases(["contacts"])
    found = pair_search.search(pair.shop, pair.route, pair_files.load(pair.route), "test")
    told = {(a, b): score for a, b, score in pair.ask("SELECT a, b, score FROM ferry.pair")}
    assert len(told) == found.kept and not found.passed

    one_already = {
        (a, b)
        for a, b in pair.ask(
            "SELECT i.legacy_key, o.legacy_key FROM ferry.identity i JOIN ferry.identity o "
            "ON o.entity = i.entity AND o.shop_key = i.shop_key AND i.legacy_key < o.legacy_key WHERE i.entity = 'customer'"
        )
    }
    assert one_already == set()  # each label is decided by the score alone
    same = {(2 * n + 1, 2 * n + 2) for n, one in enumerate(pairs) if one.same}
    sure = {keys for keys, score in told.items() if score >= similarity.SURE}
    listed = set(told)
    wrong = Counter(pairs[(a - 1) // 2].kind if b == a + 1 and a % 2 else "strangers" for a, b in sure - same)
    missed = Counter(pairs[(a - 1) // 2].kind for a, b in same - listed)
    precision, recall = len(sure & same) / len(sure), len(listed & same) / len(same)
    print(
        f"{len(pairs)} pairs, {len(same)} of one person; {len(sure)} score {similarity.SURE} or more, precision {precision:.4f}, "
        f"wrong {dict(wrong)}; {len(listed)} score {similarity.LISTED} or more, recall {recall:.4f}, missed {dict(missed)}; "
        f"recall at {similarity.SURE} {len(sure & same) / len(same):.4f}"
    )
    assert len(sure) > len(same) / 4  # a score that is sure of nobody would be right, too
    assert precision >= _LEAST_PRECISION, wrong
    assert recall >= _LEAST_RECALL, missed
    family = {(2 * n + 1, 2 * n + 2) for n, one in enumerate(pairs) if not one.same}
    assert not family & sure
