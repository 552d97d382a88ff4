"""A reset brings the stack back as it was made, whatever a test has done to it.

Every run that uses the stack looks at its first reset and at its last; see `stacks.SharedStack`.
"""

from __future__ import annotations

from dataclasses import fields

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from live import Flow, order
from looks import Look, differing, look
from shopferry.stack import supervisor
from shops import READY, SMALL
from stacks import SharedStack, Shop

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("shop", [SMALL, READY], ids=lambda shop: shop.name)
def test_whatever_a_test_does_is_seen_and_gone_after_a_reset(shared_stack: SharedStack, shop: Shop) -> None:
    """The look itself can fail: each part of it shows what was spoilt."""
    with shared_stack.lent(shop) as flow:
        spoil(flow)
        spoilt = look(flow)
    assert set(differing(shared_stack.made[shop.name], spoilt)) == {part.name for part in fields(Look)}
    with shared_stack.lent(shop) as flow:
        flow.applied()
        assert differing(shared_stack.made[shop.name], look(flow)) == {}


def spoil(flow: Flow) -> None:
    """Do to each part of the stack what tests do."""
    flow.write(order(9_900_001))
    flow.applied()
    flow.legacy.execute("CREATE TABLE left_behind (id int)")
    flow.legacy.execute("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    flow.legacy.execute("SELECT pg_replication_origin_create('left_behind')")
    flow.legacy.execute("ALTER SYSTEM SET log_lock_waits = 'on'")
    flow.shop.execute("ALTER DATABASE shop SET statement_timeout = '1h'")
    (flow.directory / "left_behind").touch()
    supervisor.rpc(flow.state).stopProcess("sync-reverse")
    admin = KafkaAdminClient(bootstrap_servers=flow.settings.kafka)
    admin.create_topics([NewTopic("left_behind", 1, 1)])
    admin.close()
