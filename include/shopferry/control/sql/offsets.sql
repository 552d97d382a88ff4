-- name: stored
SELECT topic, partition, next FROM ferry.kafka_offset WHERE route = %(route)s;

-- name: first
-- A partition never seen before begins where the caller says.
INSERT INTO ferry.kafka_offset (route, topic, partition, next)
VALUES (%(route)s, %(topic)s, %(partition)s, %(next)s) ON CONFLICT DO NOTHING;

-- name: advance
-- From where we believed to be; a partition that does not come back is where another consumer has been.
UPDATE ferry.kafka_offset o SET next = s.next, updated = now()
FROM unnest(%(topics)s::text[], %(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[])
     AS s (topic, partition, expected, next)
WHERE o.route = %(route)s AND o.topic = s.topic AND o.partition = s.partition AND o.next = s.expected
RETURNING o.topic, o.partition;

-- name: reset
DELETE FROM ferry.kafka_offset WHERE route = %(route)s;

-- name: batch
INSERT INTO ferry.replay_batch (route, events, lag_ms, apply_ms)
VALUES (%(route)s, %(events)s, %(lag_ms)s, %(apply_ms)s);

-- name: alive
INSERT INTO ferry.consumer (route, consumer, seen, stopped) VALUES (%(route)s, %(consumer)s, now(), %(stopped)s)
ON CONFLICT (route, consumer) DO UPDATE SET seen = now(), stopped = excluded.stopped;

-- name: seen
-- Alive, but not yet past what it stopped at, if it did.
INSERT INTO ferry.consumer (route, consumer, seen) VALUES (%(route)s, %(consumer)s, now())
ON CONFLICT (route, consumer) DO UPDATE SET seen = now();

-- name: consumers
SELECT consumer, extract(epoch FROM now() - seen)::float AS age_s, stopped FROM ferry.consumer
WHERE route = %(route)s ORDER BY seen DESC;

-- name: sync
-- Events replayed and the percentiles of their lag, since a moment.
SELECT coalesce((SELECT sum(events) FROM ferry.replay_batch WHERE route = %(route)s AND at >= %(since)s), 0)::bigint,
       coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY lag), 0)::integer,
       coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY lag), 0)::integer
FROM ferry.replay_batch, unnest(lag_ms) AS lag WHERE route = %(route)s AND at >= %(since)s;
