-- name: open
INSERT INTO ferry.request (route, kind, received, due, verified_by, verified_how)
VALUES (%(route)s, %(kind)s, %(received)s, (%(received)s::date + interval '1 month')::date, %(verified_by)s, %(verified_how)s)
RETURNING id;

-- name: name_persons
INSERT INTO ferry.request_person (request, store, key)
SELECT %(request)s, %(store)s, k FROM unnest(%(keys)s::text[]) k ON CONFLICT DO NOTHING;

-- name: persons
SELECT store, key FROM ferry.request_person WHERE request = %(request)s ORDER BY store, key;

-- name: all
SELECT id, kind, received, due, verified_by, verified_how, state, decided_by, decided_at, despite, refusal, closed, certificate
FROM ferry.request WHERE route = %(route)s ORDER BY id;

-- name: of_same
-- All that was asked about any of the accounts that a request is about, in this order.
SELECT r.id, r.kind, r.received, r.due, r.verified_by, r.verified_how, r.state, r.decided_by, r.decided_at, r.despite, r.refusal,
       r.closed, r.certificate
FROM ferry.request r
WHERE EXISTS (SELECT FROM ferry.request_person p JOIN ferry.request_person o USING (store, key)
              WHERE p.request = %(request)s AND o.request = r.id)
ORDER BY r.id;

-- name: decide
UPDATE ferry.request
SET state = %(state)s, decided_by = %(who)s, decided_at = clock_timestamp(), despite = %(despite)s, refusal = %(refusal)s,
    closed = CASE WHEN %(state)s = 'refused' THEN clock_timestamp() END
WHERE id = %(request)s AND state = 'open';

-- name: begin
UPDATE ferry.request SET state = 'running' WHERE id = %(request)s AND state = 'granted';

-- name: close
UPDATE ferry.request SET state = 'done', closed = clock_timestamp(), certificate = %(certificate)s::jsonb WHERE id = %(request)s;

-- name: keep_values
INSERT INTO ferry.request_value (request, kind, value)
SELECT %(request)s, g.kind, g.value FROM unnest(%(kinds)s::text[], %(values)s::text[]) AS g (kind, value)
ON CONFLICT DO NOTHING;

-- name: values
SELECT kind, value FROM ferry.request_value WHERE request = %(request)s ORDER BY 1, 2;

-- name: forget_values
DELETE FROM ferry.request_value WHERE request = %(request)s;

-- name: note_step
INSERT INTO ferry.request_step (request, step, done) VALUES (%(request)s, %(step)s, %(done)s::jsonb)
ON CONFLICT (request, step) DO UPDATE SET at = clock_timestamp(), done = excluded.done;

-- name: steps
SELECT step, done FROM ferry.request_step WHERE request = %(request)s;
