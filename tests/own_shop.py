"""A pair of stores that is not the demo: a test brings both schemas and the mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pair import Pair, connect
from shopferry import installation
from shopferry.route.route import Route

MakeDb = Callable[..., str]


def write_route(folder: Path, mappings: Mapping[str, str], name: str = "own") -> Route:
    """Write the files of a route, by their path in its folder, and load it; the folder is what SHOPFERRY_ROUTES names."""
    for path, text in mappings.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Route.load(name, folder)


@contextmanager
def own_pair(make_db: MakeDb, folder: Path, legacy: str, shop: str, mappings: Mapping[str, str]) -> Iterator[Pair]:
    """Yield a pair of stores with these schemas, installed for a route of these files, its log tapped."""
    route, dsns = write_route(folder, mappings), (make_db("legacy"), make_db("shop"))
    with connect(dsns[0]) as source, connect(dsns[1]) as target:
        source.execute(legacy.encode())
        target.execute(shop.encode())
        installation.install(source, target, route)
        target.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")
    pair = Pair.open(*dsns, route)
    try:
        yield pair
    finally:
        pair.close_tap(pair.legacy)
        pair.close()
