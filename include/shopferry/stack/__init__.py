"""The embedded stack: every server shopferry needs, out of wheels, supervised, in one data directory."""

from shopferry.stack.server import Service, down, reset, status, up
from shopferry.stack.state import State

__all__ = ["Service", "State", "down", "reset", "status", "up"]
