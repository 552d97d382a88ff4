-- name: begin
INSERT INTO ferry.audit_run (route, at, who, seconds) VALUES (%(route)s, %(at)s, %(who)s, %(seconds)s) RETURNING id;

-- name: book
INSERT INTO ferry.audit_value (run, audit, segment, bad, "of", state)
SELECT %(run)s, g.audit, g.segment, g.bad, g."of", g.state
FROM unnest(%(audits)s::text[], %(segments)s::text[], %(bad)s::bigint[], %(of)s::bigint[], %(states)s::text[])
     AS g (audit, segment, bad, "of", state);

-- name: since
-- All values of the runs after one moment and up to another, in the order of their runs.
SELECT r.id AS run, r.at, v.audit, v.segment, v.bad, v."of", v.state
FROM ferry.audit_run r
JOIN ferry.audit_value v ON v.run = r.id
WHERE r.route = %(route)s AND r.at > %(since)s AND r.at <= %(until)s
ORDER BY r.at, r.id, v.audit, v.segment;

-- name: before
-- Of each audit and segment the values of so many runs before a moment, the newest first.
SELECT run, at, audit, segment, bad, "of", state
FROM (SELECT r.id AS run, r.at, v.audit, v.segment, v.bad, v."of", v.state,
             row_number() OVER (PARTITION BY v.audit, v.segment ORDER BY r.at DESC, r.id DESC) AS place
      FROM ferry.audit_run r
      JOIN ferry.audit_value v ON v.run = r.id
      WHERE r.route = %(route)s AND r.at < %(at)s AND r.at > %(at)s - interval '90 days') newest
WHERE place <= %(runs)s
ORDER BY audit, segment, place;

-- name: latest
-- What the newest run has counted.
SELECT r.id AS run, r.at, v.audit, v.segment, v.bad, v."of", v.state
FROM (SELECT id, at FROM ferry.audit_run WHERE route = %(route)s ORDER BY at DESC, id DESC LIMIT 1) r
JOIN ferry.audit_value v ON v.run = r.id
ORDER BY v.audit, v.segment;

-- name: of_run
SELECT r.id AS run, r.at, v.audit, v.segment, v.bad, v."of", v.state
FROM ferry.audit_run r
JOIN ferry.audit_value v ON v.run = r.id
WHERE r.id = %(run)s
ORDER BY v.audit, v.segment;

-- name: told_before
-- The state of each audit and segment that on-call was told of last, ahead of this run.
SELECT DISTINCT ON (v.audit, v.segment) v.audit, v.segment, v.state
FROM ferry.audit_run r
JOIN ferry.audit_value v ON v.run = r.id
WHERE r.route = %(route)s AND r.told IS NOT NULL AND r.id < %(run)s
ORDER BY v.audit, v.segment, r.id DESC;

-- name: note_told
UPDATE ferry.audit_run SET told = coalesce(told, now()) WHERE id = %(run)s;
