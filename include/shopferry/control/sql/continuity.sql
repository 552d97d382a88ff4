-- name: known
SELECT beat, slot_txns, legacy_started, lost FROM ferry.stream WHERE route = %(route)s;

-- name: beat
-- Before the batch that brought it is applied: delivered again it is an old one, and no gap.
INSERT INTO ferry.stream (route, beat) VALUES (%(route)s, %(beat)s)
ON CONFLICT (route) DO UPDATE SET beat = greatest(ferry.stream.beat, excluded.beat);

-- name: slot
INSERT INTO ferry.stream (route, slot_txns, legacy_started) VALUES (%(route)s, %(txns)s, %(started)s)
ON CONFLICT (route) DO UPDATE SET slot_txns = excluded.slot_txns, legacy_started = excluded.legacy_started;

-- name: lose
-- The first thing that went wrong stands until a resync.
INSERT INTO ferry.stream (route, lost) VALUES (%(route)s, %(lost)s)
ON CONFLICT (route) DO UPDATE SET lost = coalesce(ferry.stream.lost, excluded.lost);

-- name: reset
DELETE FROM ferry.stream WHERE route = %(route)s;
