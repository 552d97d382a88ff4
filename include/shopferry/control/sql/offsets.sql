-- name: stored
SELECT topic, partition, next FROM ferry.kafka_offset WHERE route = %(route)s;

-- name: first
-- A partition never seen before begins where the caller says.
INSERT INTO ferry.kafka_offset (route, topic, partition, next)
VALUES (%(route)s, %(topic)s, %(partition)s, %(next)s) ON CONFLICT DO NOTHING;

-- name: topic_ids
SELECT DISTINCT topic, topic_id FROM ferry.kafka_offset WHERE route = %(route)s AND topic_id IS NOT NULL;

-- name: recognise
UPDATE ferry.kafka_offset SET topic_id = %(topic_id)s
WHERE route = %(route)s AND topic = %(topic)s AND topic_id IS NULL;

-- name: hold
-- Waits for batches under way; a consumer that wants to advance waits for us, and then finds its position gone.
LOCK TABLE ferry.kafka_offset IN SHARE ROW EXCLUSIVE MODE;

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

-- name: forget
-- A few at a time: who deletes is the consumer, every few seconds.
DELETE FROM ferry.replay_batch WHERE route = %(route)s AND at < now() - %(kept)s::interval;

-- name: tally
-- Count what was applied, per partition; the position's row is this transaction's already.
UPDATE ferry.kafka_offset o
SET events = o.events + s.events, bytes = o.bytes + s.bytes, lsn = greatest(o.lsn, s.lsn),
    committed = greatest(o.committed, to_timestamp(s.committed_ms / 1000.0))
FROM unnest(%(topics)s::text[], %(partitions)s::integer[], %(events)s::bigint[], %(bytes)s::bigint[], %(lsns)s::pg_lsn[],
            %(committed)s::bigint[]) AS s (topic, partition, events, bytes, lsn, committed_ms)
WHERE o.route = %(route)s AND o.topic = s.topic AND o.partition = s.partition;

-- name: alive
-- A consumer that stops is started again at once and stops again: so its reason outlasts the first seconds of a new life.
INSERT INTO ferry.consumer AS c (route, consumer, seen, stopped, stopped_at)
VALUES (%(route)s, %(consumer)s, now(), %(stopped)s::text, CASE WHEN %(stopped)s::text IS NOT NULL THEN now() END)
ON CONFLICT (route, consumer) DO UPDATE
SET seen = now(),
    stopped = CASE WHEN excluded.stopped IS NULL AND c.stopped_at > now() - %(memory)s::interval
                   THEN c.stopped ELSE excluded.stopped END,
    stopped_at = CASE WHEN excluded.stopped IS NULL AND c.stopped_at > now() - %(memory)s::interval
                      THEN c.stopped_at ELSE excluded.stopped_at END
RETURNING stopped;

-- name: seen
-- Alive, but not yet past what it stopped at, if it did.
INSERT INTO ferry.consumer (route, consumer, seen) VALUES (%(route)s, %(consumer)s, now())
ON CONFLICT (route, consumer) DO UPDATE SET seen = now()
RETURNING stopped;

-- name: consumers
SELECT consumer, extract(epoch FROM now() - seen)::float AS age_s, stopped FROM ferry.consumer
WHERE route = %(route)s ORDER BY seen DESC;

-- name: applied
SELECT topic, sum(events)::bigint, sum(bytes)::bigint FROM ferry.kafka_offset WHERE route = %(route)s GROUP BY topic;

-- name: position
-- How far the newest change that was applied reaches in legacy's log.
SELECT lsn::text, committed, extract(epoch FROM now() - committed)::float AS age_s FROM ferry.kafka_offset
WHERE route = %(route)s AND lsn IS NOT NULL ORDER BY lsn DESC LIMIT 1;

-- name: sync
-- Events replayed and the percentiles of their lag, since a moment.
SELECT coalesce((SELECT sum(events) FROM ferry.replay_batch WHERE route = %(route)s AND at >= %(since)s), 0)::bigint,
       coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY lag), 0)::integer,
       coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY lag), 0)::integer
FROM ferry.replay_batch, unnest(lag_ms) AS lag WHERE route = %(route)s AND at >= %(since)s;

-- name: trend
-- The middle lag of the newest batches, and of those of a while before them; NULL where there was none.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY lag) FILTER (WHERE at >= clock_timestamp() - %(recent)s::interval),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY lag) FILTER (WHERE at < clock_timestamp() - %(recent)s::interval)
FROM ferry.replay_batch, unnest(lag_ms) AS lag
WHERE route = %(route)s AND at >= clock_timestamp() - %(recent)s::interval - %(before)s::interval;
