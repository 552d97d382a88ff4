"""Push a run to a recipient's own address on the web: in batches, leavers first, each booked as soon as it is answered.

What a batch is, how it is signed and what may be answered stands in docs/howto/activation.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

from shopferry.control import activations
from shopferry.control.activations import Run
from shopferry.db import Connection
from shopferry.errors import ConfigError, TransientError
from shopferry.insight.formats import Format, Leaver, Row, Sheet, Value, hash_address, make_object
from shopferry.insight.permission import Permission
from shopferry.insight.suppression import Key
from shopferry.retry import retrying

BATCH = 500  # people
ANSWER_S = 30.0  # for the answer to one batch
GIVE_UP_S = 300.0  # after which a recipient that cannot answer is left for the next run
LOOK_AGAIN_S = 60.0  # who may be written to is asked once more for the batches after that
_LATER = {408, 425, 429}  # and all from 500 on: it may take the batch another time
_ABOUT_PEOPLE = {400, 413, 422}  # something in the batch is not taken: it is halved until it is one person
_LOCAL = {"127.0.0.1", "::1", "localhost"}

Person = tuple[Key, Mapping[str, Value]]


@dataclass(frozen=True)
class Receiver:
    """The recipient's address on the web, and the secret by which it knows that a batch is ours."""

    url: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            found = httpx.URL(self.url)
        except httpx.InvalidURL:
            raise ConfigError("the recipient's address is no URL") from None
        if found.scheme != "https" and not (found.scheme == "http" and found.host in _LOCAL):
            raise ConfigError("the recipient's address must begin with https://: people's data is sent there")
        if not self.secret:
            raise ConfigError(f"there is no secret for the recipient at {found.host}: it could not tell who sends")

    @property
    def host(self) -> str:
        """What may be shown of it; the rest may be a secret."""
        return httpx.URL(self.url).host


@dataclass(frozen=True)
class Pushed:
    """How many people the recipient refused to take, and of whom it refused to be told that they leave.

    `withheld` have said no while the run was under way, before their batch was sent.
    """

    refused: int = 0
    withheld: int = 0
    stuck: Sequence[Key] = ()


@dataclass(frozen=True)
class Load:
    """What a run hands over: leavers, suppressions and members, in the order in which they are sent."""

    leavers: Sequence[tuple[Key, Leaver]]
    suppressed: Sequence[Leaver]
    members: Sequence[tuple[Key, Row]]


@dataclass(frozen=True)
class _Answer:
    taken: Sequence[Key]
    refused: Sequence[Key]


@dataclass
class _Permitted:
    """Who of the members may still be written to; asked again when the last look is old."""

    channel: str
    ask: Callable[[], Permission]
    asked: float = field(default_factory=time.monotonic)  # the run has asked just before
    latest: Permission | None = None
    withheld: int = 0

    def keep(self, people: Sequence[Person]) -> list[Person]:
        """Keep those who may be written to at the address that they were drawn with."""
        if time.monotonic() - self.asked > LOOK_AGAIN_S:
            self.latest, self.asked = self.ask(), time.monotonic()
        if self.latest is None:
            return list(people)
        kept = [person for person in people if self._allows(self.latest, person[0])]
        self.withheld += len(people) - len(kept)
        return kept

    def _allows(self, permission: Permission, key: Key) -> bool:
        customer, mark = key
        return permission.allows(customer) and permission.people[customer].find_mark(self.channel) == mark


def push(
    shop: Connection,
    receiver: Receiver,
    run: Run,
    number: int,
    form: Format,
    sheet: Sheet,
    load: Load,
    ask: Callable[[], Permission],
) -> Pushed:
    """Push one run that was begun; what the recipient has answered is booked batch by batch.

    `ask` asks who may be written to now. Raises TransientError when the recipient does not answer in time, ConfigError when it
    answers that the address or the secret is wrong. What was answered by then stays booked, and the next run goes on behind it.
    """
    refused, stuck = 0, list[Key]()
    head = {"activation": run.activation, "run": number, "purpose": sheet.purpose, "channel": sheet.channel}
    permitted = _Permitted(sheet.channel, ask)
    with httpx.Client(timeout=ANSWER_S) as client:
        line = _Line(client, receiver, f"{run.route}-{run.activation}-{number}", head)
        for answer in line.send("leavers", [(key, _name_leaver(form, one)) for key, one in load.leavers]):
            with shop.transaction():
                activations.let_go(shop, run, number, answer.taken)
            stuck += answer.refused
        for _ in line.send("suppressed", [((one.customer_id, ""), _name_leaver(form, one)) for one in load.suppressed]):
            pass
        members = [(key, make_object(form, sheet, row)) for key, row in load.members]
        for answer in line.send("members", members, permitted.keep):
            with shop.transaction():
                activations.book_answer(shop, run, number, "in", answer.taken)
                activations.book_answer(shop, run, number, "refused", answer.refused)
            refused += len(answer.refused)
    return Pushed(refused, permitted.withheld, stuck)


def _name_leaver(form: Format, one: Leaver) -> dict[str, Value]:
    return {form.number: one.customer_id, "sha256": hash_address(one.address) or None}


@dataclass(frozen=True)
class _Line:
    """The way to one recipient in one run; `key` begins the idempotency keys of its batches."""

    client: httpx.Client
    receiver: Receiver
    key: str
    head: Mapping[str, object]

    def send(
        self, kind: str, people: Sequence[Person], keep: Callable[[Sequence[Person]], Sequence[Person]] | None = None
    ) -> Iterator[_Answer]:
        """Send people in batches, of each those alone that `keep` keeps right before; yields each answer."""
        for start in range(0, len(people), BATCH):
            part = people[start : start + BATCH]
            if part := keep(part) if keep else part:
                yield from self._send(kind, str(start // BATCH + 1), part)

    def _send(self, kind: str, batch: str, people: Sequence[Person]) -> Iterator[_Answer]:
        """Send one batch. One that is refused for what it holds is halved, until the one person is found who is not taken."""
        body = json.dumps({**self.head, "kind": kind, "batch": batch, "people": [one for _, one in people]}).encode()
        answer = retrying(lambda: self._post(f"{self.key}-{kind}-{batch}", body), give_up_after=GIVE_UP_S)
        if answer.is_success:
            named = _read_refused(answer)
            yield _Answer(
                [key for key, _ in people if key[0] not in named], [key for key, _ in people if key[0] in named]
            )
        elif len(people) == 1:
            yield _Answer([], [people[0][0]])
        else:
            middle = len(people) // 2
            yield from self._send(kind, f"{batch}.1", people[:middle])
            yield from self._send(kind, f"{batch}.2", people[middle:])

    def _post(self, key: str, body: bytes) -> httpx.Response:
        """Post a body; returns an answer that says yes, or that something in it is not taken."""
        where = f"the recipient at {self.receiver.host}"
        signature = hmac.new(self.receiver.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "X-Shopferry-Signature": f"sha256={signature}",
        }
        try:
            answer = self.client.post(self.receiver.url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise TransientError(f"{where} does not answer: {type(error).__name__}") from None
        code = answer.status_code
        if code >= 500 or code in _LATER:
            raise TransientError(f"{where} answers {code}", after_s=_read_wait(answer))
        if not answer.is_success and code not in _ABOUT_PEOPLE:
            raise ConfigError(f"{where} answers {code}: its address or its secret is wrong, or it wants something else")
        return answer


def _read_refused(answer: httpx.Response) -> set[str]:
    """Read the customers whom the recipient has not taken of a batch that it took: `{"refused": [{"customer_id": "7"}]}`."""
    try:
        told = answer.json()
    except ValueError:
        return set()
    listed = told.get("refused") if isinstance(told, dict) else None
    return {str(one["customer_id"]) for one in listed or () if isinstance(one, dict) and "customer_id" in one}


def _read_wait(answer: httpx.Response) -> float:
    """Read how many seconds the recipient asks to wait, as a number or as a date; 0 where it does not say."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
