-- The same tables once more; what the mirror holds as text stays text.
CREATE SCHEMA shop;
CREATE EXTENSION citext SCHEMA public;
CREATE TABLE shop.carried (
    id integer PRIMARY KEY, small smallint, big bigint, single real, dbl double precision, exact numeric, wide numeric(40, 10),
    flag boolean, words text, short varchar(40), padded char(6), folded citext, day date, at timestamp, at3 timestamp(3),
    at_tz timestamptz, hour time, hour3 time(3), number uuid, raw bytea, doc json, docb jsonb, host inet, net cidr,
    card macaddr, feeling text, cost numeric(12, 2), born date
);
CREATE TABLE shop.lossy (
    id integer PRIMARY KEY, hour_tz timetz, span interval, bit1 bit(1), bit12 bit(12), bits bit varying, cash numeric,
    numbers integer[], words text[], days date[], amounts numeric[], feelings text, tags text, duo text, many text,
    fro text, place text, label text, letter text, search text, words2 text
);
CREATE TABLE shop.keyed (code text, day date, note text, feeling text, seen boolean, PRIMARY KEY (code, day));
