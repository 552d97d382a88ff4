"""A small pair of stores that is not the demo: members and bookings become clients and trips; with a route of three files."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_shop import MakeDb, write_route
from pair import connect
from shopferry.settings import Settings

LEGACY = """
CREATE TABLE member (id integer PRIMARY KEY, mail text, name text, shoe_size text);
CREATE TABLE booking (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), member_id integer, state text, price numeric(10, 2));
CREATE TABLE state (code text PRIMARY KEY, word text);
CREATE TABLE forgotten (id integer PRIMARY KEY);
INSERT INTO member SELECT i, 'm' || i || '@example.com', 'Name ' || i FROM generate_series(1, 60) i;
INSERT INTO member VALUES (100, 'M7@example.com', 'Name 7'), (101, 'nonsense', 'Nobody');
INSERT INTO state VALUES ('N', 'new'), ('D', 'done');
INSERT INTO booking (member_id, state, price) SELECT 1 + i % 60, CASE i % 2 WHEN 0 THEN 'N' ELSE 'D' END, i
FROM generate_series(1, 240) i;
INSERT INTO booking (member_id, state, price) VALUES (1, 'X', 5), (999, 'N', 7);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE SEQUENCE shop.client_ids START 5000;
CREATE TABLE shop.tier (name text PRIMARY KEY);
INSERT INTO shop.tier VALUES ('basic');
CREATE TABLE shop.client (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text, tier text NOT NULL REFERENCES shop.tier,
    legacy_id bigint);
CREATE TABLE shop.trip (id uuid PRIMARY KEY, client_id bigint NOT NULL REFERENCES shop.client DEFERRABLE INITIALLY DEFERRED,
    state text NOT NULL, price numeric NOT NULL CONSTRAINT price_is_no_gift CHECK (price > 1));
INSERT INTO shop.client VALUES (1, 'm1@example.com', 'Who was here before', 'basic', NULL);
"""
IDENTITY = """-- identity: client
-- sequence: shop.client_ids
-- source: legacy.member(id)
-- standardize: email legacy.member (mail)
SELECT m.id AS legacy_key, coalesce(e.value, '#' || m.id) AS cluster
FROM affected a JOIN legacy.member m ON m.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = m.mail;
"""
CLIENT = """-- entity: shop.client
-- key: id
-- scope: id
-- source: identity.client(shop_key), legacy.member
-- counts: legacy.member(id) as legacy_id
-- standardize: email legacy.member (mail)
WITH ranked AS (
    SELECT a.key, m.id, m.name, e.value AS email, row_number() OVER (PARTITION BY a.key ORDER BY m.id) AS rank
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'client' AND i.shop_key = a.key
    JOIN legacy.member m ON m.id = i.legacy_key
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = m.mail
)
SELECT r.key AS id, r.email, r.name, 'basic' AS tier, r.id::bigint AS legacy_id,
       array_remove(ARRAY[CASE WHEN r.email IS NULL THEN 'email_invalid' END], NULL) AS problems,
       CASE WHEN r.rank > 1 THEN 'same_person' END AS left_out
FROM ranked r;

-- lineage: legacy.member
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'client' AND i.legacy_key = c.id;
"""
TRIP = """-- entity: shop.trip
-- key: id
-- scope: id
-- source: legacy.booking(id), legacy.state, identity.client, shop.client
-- counts: legacy.booking(id) as id
SELECT b.id, c.id AS client_id, s.word AS state, b.price,
       array_remove(ARRAY[CASE WHEN c.id IS NULL THEN 'client_missing' END,
                          CASE WHEN s.word IS NULL THEN 'state_unknown' END], NULL) AS problems
FROM affected a
JOIN legacy.booking b ON b.id = a.key
LEFT JOIN ferry.identity i ON i.entity = 'client' AND i.legacy_key = b.member_id
LEFT JOIN shop.client c ON c.id = i.shop_key
LEFT JOIN legacy.state s ON s.code = b.state;

-- lineage: legacy.state
SELECT b.id FROM changed c JOIN legacy.booking b ON b.state = c.code;

-- lineage: identity.client
SELECT b.id FROM changed c JOIN legacy.booking b ON b.member_id = c.legacy_key;

-- lineage: shop.client
SELECT b.id FROM changed c JOIN ferry.identity i ON i.entity = 'client' AND i.shop_key = c.id
JOIN legacy.booking b ON b.member_id = i.legacy_key;
"""
FILES = {"people/client.identity.sql": IDENTITY, "people/client.sql": CLIENT, "trips/trip.sql": TRIP}


def make_stores(make_db: MakeDb, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Make both stores, nothing installed, and a route that is right; the environment names them all."""
    settings = Settings(make_db("legacy"), make_db("shop"), "127.0.0.1:1", "own")
    with connect(settings.source_dsn) as legacy, connect(settings.target_dsn) as shop:
        legacy.execute(LEGACY.encode())
        shop.execute(SHOP.encode())
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(folder))
    monkeypatch.setenv("SHOPFERRY_ROUTE", "own")
    for name, dsn in (("LEGACY", settings.source_dsn), ("SHOP", settings.target_dsn)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", settings.kafka)
    write_route(folder, FILES)
    return settings
