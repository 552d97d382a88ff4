-- Who was erased, in either store: rows whose values never come back, whatever a log, a copy or an old backup says. Idempotent.
-- It holds keys and keyed marks, no value: marks are made with a key that is in neither store (docs/howto/requests.md).

CREATE SCHEMA IF NOT EXISTS shopferry;

CREATE TABLE IF NOT EXISTS shopferry.erased (
    route    text NOT NULL,
    relation text NOT NULL,                  -- legacy.customers, or the new shop's table
    key      text NOT NULL,
    marks    text[] NOT NULL,                -- of what it held: another row that gets this key later is let in
    clears   jsonb,                          -- by column what an erasure leaves in it; NULL: the row goes
    request  bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, relation, key)
);
