"""A recipient's own address on the web: a real HTTP server, which answers each batch as a test says and keeps what it took."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from hooks import listening

Said = tuple[int, Mapping[str, str], Any]  # code, headers, body
OK: Said = (200, {}, {})


@dataclass
class Webhook:
    """What it was sent: (kind, batch, people's numbers) of each post, and the bodies that it answered with a yes."""

    answer: Callable[[dict[str, Any]], Said] = lambda body: OK
    posts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    raw: list[tuple[bytes, str]] = field(default_factory=list)  # body and signature
    taken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # people by idempotency key
    url: str = ""

    def list_people(self, kind: str) -> list[str]:
        """The numbers of the people of one kind that it took, in their order; a repeated key counts once."""
        return [p["customer_id"] for key, people in self.taken.items() if f"-{kind}-" in key for p in people]


@contextmanager
def receiving(answer: Callable[[dict[str, Any]], Said] = lambda body: OK) -> Iterator[Webhook]:
    """A recipient on loopback for as long as the block lasts."""
    hook = Webhook(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body, key = json.loads(raw), self.headers["Idempotency-Key"]
            hook.posts.append(body)
            hook.keys.append(key)
            hook.raw.append((raw, self.headers["X-Shopferry-Signature"]))
            code, headers, told = hook.answer(body)
            if code < 300:
                refused = {str(r["customer_id"]) for r in told.get("refused", ())} if isinstance(told, dict) else set()
                hook.taken[key] = [p for p in body["people"] if p["customer_id"] not in refused]
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode() if not isinstance(told, bytes) else told)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as at:
        hook.url = f"{at}/people?token=top-secret"
        yield hook
