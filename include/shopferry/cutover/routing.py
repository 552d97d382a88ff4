"""How the application learns where to write: the route's row, NOTIFY, PgBouncer and a hook.

`ferry.route` and the NOTIFY in the transaction that turns it are always there; PgBouncer and the hook are told where
settings name them. Each may be told again and again: what it is told carries the route's version.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from shopferry.control import routes
from shopferry.control.routes import Standing
from shopferry.cutover.pgbouncer import PgBouncer
from shopferry.db import Connection
from shopferry.errors import AnnounceError, ConfigError, ShopferryError, TransientError
from shopferry.retry import describe, retrying
from shopferry.settings import Settings

log = logging.getLogger(__name__)
PATIENCE_S = 30.0  # for whoever is to be told of a switch; after it the task fails, and its retry tells them
ANSWER_S = 5.0  # for the hook's answer to one request
_LATER = {408, 425, 429}  # and all from 500 on: the hook may accept it another time


def require_standing(shop: Connection, route: str) -> Standing:
    """Read how the route stands now. Raises ConfigError when it was never installed."""
    standing = routes.find_standing(shop, route)
    if standing is None:
        raise ConfigError(f"route {route} is not installed: run `shopferry phase init`")
    return standing


def message_of(now: Standing) -> str:
    """The standing as JSON, the same for all that are told."""
    return json.dumps(
        {"route": now.route, "store": now.active, "version": now.version, "at": now.changed_at.isoformat()}
    )


def notify(shop: Connection, now: Standing) -> None:
    """Wake whoever listens on the channel `shopferry_<route>`, as soon as the caller's transaction has committed."""
    shop.execute("SELECT pg_notify(%s, %s)", (f"shopferry_{now.route}", message_of(now)))


def settle(settings: Settings, store: str) -> None:
    """Before a switch: let go whom a try that was killed has left waiting, and see that everything is in place for the next.

    Raises what `check` does, and ConfigError when PgBouncer's databases cannot be led to this store; nothing was changed.
    """
    check(settings)
    if bouncer := PgBouncer.of(settings):
        try:
            bouncer.point(store)
        except AnnounceError as error:
            raise ConfigError(str(error)) from None
        except OSError as error:
            raise ConfigError(f"the link {bouncer.file} cannot be made: {error.strerror}") from None
        bouncer.let_go()


def check(settings: Settings) -> None:
    """See that everybody who is to be told of a switch can be; changes nothing.

    Raises ConfigError naming what is wrong, TransientError when PgBouncer does not answer.
    """
    if settings.hook and not settings.hook.startswith(("http://", "https://")):
        raise ConfigError("SHOPFERRY_HOOK is no http(s) URL")
    if bouncer := PgBouncer.of(settings):
        bouncer.check()


def hold(settings: Settings, seconds: float) -> bool:
    """Have PgBouncer's clients wait between two transactions; False where there is no PgBouncer.

    Raises TransientError when their transactions do not end within so many seconds.
    """
    bouncer = PgBouncer.of(settings)
    if bouncer:
        bouncer.hold(seconds)
    return bouncer is not None


def let_go(settings: Settings) -> None:
    """Have PgBouncer's clients go on to where they are led now; what keeps them is logged, and raised by no one."""
    try:
        if bouncer := PgBouncer.of(settings):
            retrying(bouncer.let_go, give_up_after=PATIENCE_S)
    except ShopferryError as error:
        log.error("PgBouncer's clients may still wait, RESUME them at its console: %s", describe(error))


@contextmanager
def let_go_on_failure(settings: Settings) -> Iterator[None]:
    """Let PgBouncer's clients go on if the block fails; after its success they wait for `announce`."""
    try:
        yield
    except BaseException:
        let_go(settings)
        raise


def announce(settings: Settings, now: Standing) -> None:
    """Tell PgBouncer and the hook how the route stands, each for half a minute if need be.

    Raises TransientError or AnnounceError naming who could not be told; the switch itself stands, and the next try tells
    them again.
    """
    failures = [f for tell in (_tell_pgbouncer, _tell_hook) if (f := _failure(tell, settings, now))]
    if failures:
        text = (
            f"the switch is done, writes go to {now.active} (version {now.version}), but not everybody could be told: "
            f"{'; '.join(map(str, failures))} → the same command, or the task cleared, tells them again"
        )
        raise (TransientError if all(f.retriable for f in failures) else AnnounceError)(text)


def announce_again(settings: Settings, shop: Connection, route: str) -> None:
    """Announce the route as it stands once more, to those who were not told after the last switch."""
    now = require_standing(shop, route)
    with shop.transaction():
        notify(shop, now)
    announce(settings, now)


def _failure(tell: Callable[[Settings, Standing], None], settings: Settings, now: Standing) -> ShopferryError | None:
    try:
        retrying(lambda: tell(settings, now), give_up_after=PATIENCE_S)
    except ShopferryError as error:
        return error
    return None


def _tell_pgbouncer(settings: Settings, now: Standing) -> None:
    if bouncer := PgBouncer.of(settings):
        try:
            bouncer.point(now.active)
        except OSError as error:
            raise AnnounceError(f"the link {bouncer.file} cannot be made: {error.strerror}") from None
        finally:
            # Even if they are led astray: who writes to a closed store is told so, who waits for ever is not.
            bouncer.let_go()


def _tell_hook(settings: Settings, now: Standing) -> None:
    if not settings.hook:
        return
    # Nothing of the URL but its host is ever shown: the rest may be a secret.
    where = f"the hook at {httpx.URL(settings.hook).host}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{now.route}-{now.version}"}
    try:
        answer = httpx.post(settings.hook, content=message_of(now), headers=headers, timeout=ANSWER_S)
    except httpx.TransportError as error:
        raise TransientError(f"{where} does not answer: {type(error).__name__}") from None
    if answer.status_code >= 500 or answer.status_code in _LATER:
        raise TransientError(f"{where} answers {answer.status_code}")
    if not answer.is_success:
        raise AnnounceError(f"{where} refuses: it answers {answer.status_code}")
