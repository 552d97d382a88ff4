-- Every type that a shop may have: types that events carry, types they do not; and a partitioned table with a key of two columns.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('good', 'bad', 'so so');
CREATE DOMAIN price AS numeric(12, 2) CHECK (value >= 0);
CREATE DOMAIN birthday AS date;
CREATE TYPE pair AS (number integer, word text);

CREATE TABLE carried (
    id integer PRIMARY KEY, small smallint, big bigint, single real, dbl double precision, exact numeric, wide numeric(40, 10),
    flag boolean, words text, short varchar(40), padded char(6), folded citext, day date, at timestamp, at3 timestamp(3),
    at_tz timestamptz, hour time, hour3 time(3), number uuid, raw bytea, doc json, docb jsonb, host inet, net cidr,
    card macaddr, feeling mood, cost price, born birthday
);
CREATE TABLE lossy (
    id integer PRIMARY KEY, hour_tz timetz, span interval, bit1 bit(1), bit12 bit(12), bits bit varying, cash money,
    numbers integer[], words text[], days date[], amounts numeric[], feelings mood[], tags hstore, duo pair, many pair[],
    fro int4range, place point, label name, letter "char", search tsvector, words2 text
);
CREATE TABLE keyed (
    code text, day date, note text, feeling mood, _seen boolean, PRIMARY KEY (code, day)
) PARTITION BY RANGE (day);
CREATE TABLE keyed_2020 PARTITION OF keyed FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE keyed_later PARTITION OF keyed DEFAULT;
