-- name: stored
SELECT topic, partition, next FROM ferry.kafka_offset WHERE route = %(route)s;

-- name: first
-- A partition never seen before begins where the caller says.
INSERT INTO ferry.kafka_offset (route, topic, partition, next)
VALUES (%(route)s, %(topic)s, %(partition)s, %(next)s) ON CONFLICT DO NOTHING;

-- name: advance
-- From where we believed to be; no row comes back when another consumer has been there.
UPDATE ferry.kafka_offset SET next = %(next)s, updated = now()
WHERE route = %(route)s AND topic = %(topic)s AND partition = %(partition)s AND next = %(expected)s
RETURNING next;

-- name: reset
DELETE FROM ferry.kafka_offset WHERE route = %(route)s;

-- name: batch
INSERT INTO ferry.replay_batch (route, events, lag_ms, apply_ms)
VALUES (%(route)s, %(events)s, %(lag_ms)s, %(apply_ms)s);

-- name: alive
INSERT INTO ferry.consumer (route, consumer, seen, stopped) VALUES (%(route)s, %(consumer)s, now(), %(stopped)s)
ON CONFLICT (route, consumer) DO UPDATE SET seen = now(), stopped = excluded.stopped;

-- name: consumers
SELECT consumer, extract(epoch FROM now() - seen)::float AS age_s, stopped FROM ferry.consumer
WHERE route = %(route)s ORDER BY seen DESC;

-- name: sync
-- Events replayed and the percentiles of their lag, since a moment.
SELECT coalesce((SELECT sum(events) FROM ferry.replay_batch WHERE route = %(route)s AND at >= %(since)s), 0)::bigint,
       coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY lag), 0)::integer,
       coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY lag), 0)::integer
FROM ferry.replay_batch, unnest(lag_ms) AS lag WHERE route = %(route)s AND at >= %(since)s;
