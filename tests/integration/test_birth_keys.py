"""Which keys of legacy are given at birth in the new shop, as reverse/keys.sql says."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_shop import write_route
from shopferry.cutover.way_back import _numbers
from shopferry.errors import MappingError

MAPPING = (
    "-- entity: shop.a\n-- key: id\n-- scope: id\n-- source: legacy.a(id)\nSELECT 1 AS id, '{}'::text[] AS problems"
)


def test_a_line_of_another_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back = MAPPING.replace("shop.a", "legacy.a").replace("legacy.a(id)", "shop.a(id)")
    lines = "-- what is born there\n-- numbers: public.a(id) as ferry.a_id\n-- numbers: public.b as ferry.b_id\n"
    route = write_route(tmp_path, {"all/a.sql": MAPPING, "reverse/all/a.sql": back, "reverse/keys.sql": lines})
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    assert route.back
    with pytest.raises(MappingError, match=r"keys\.sql:3: wants `-- numbers: "):
        _numbers(route.back)
