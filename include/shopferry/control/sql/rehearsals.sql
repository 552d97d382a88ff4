-- name: record
INSERT INTO ferry.rehearsal (route, who, fingerprint, customers, pseudonymised, seconds, phases, problem, green,
                             real_data_by)
VALUES (%(route)s, %(who)s, %(fingerprint)s, %(customers)s, %(pseudonymised)s, %(seconds)s, %(phases)s, %(problem)s, %(green)s,
        %(real_data_by)s)
RETURNING id;

-- name: all
-- The newest first.
SELECT id, at, who, fingerprint, customers, pseudonymised, seconds, phases, problem, green, real_data_by
FROM ferry.rehearsal WHERE route = %(route)s ORDER BY at DESC, id DESC;

-- name: waiver
-- Who decided to start the phase without one.
SELECT without_rehearsal FROM ferry.phase WHERE route = %(route)s AND phase = %(phase)s;

-- name: waive
UPDATE ferry.phase SET without_rehearsal = %(who)s WHERE route = %(route)s AND phase = %(phase)s;
