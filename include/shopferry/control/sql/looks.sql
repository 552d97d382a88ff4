-- name: book
-- One row a relation.
INSERT INTO ferry.looked (who, verb, relation, keys, why)
SELECT %(who)s, %(verb)s, g.relation, g.keys, %(why)s
FROM jsonb_to_recordset(%(seen)s::jsonb) AS g (relation text, keys text[]) ORDER BY g.relation;

-- name: book_after_finish
-- The same in the audit log, which is all that is left after the end of a migration.
INSERT INTO shopferry_audit.entry (route, at, what, who, detail)
SELECT %(route)s, clock_timestamp(), 'look', %(who)s,
       jsonb_build_object('role', session_user, 'verb', %(verb)s::text, 'relation', g.relation, 'keys', g.keys, 'why', %(why)s::text)
FROM jsonb_to_recordset(%(seen)s::jsonb) AS g (relation text, keys text[]) ORDER BY g.relation;

-- name: list
-- The newest first; `taken_back` counts the numbers that are missing just before a row.
SELECT id, at, who, role, verb, relation, keys, why, id - 1 - coalesce(lag(id) OVER (ORDER BY id), 0) AS taken_back
FROM ferry.looked ORDER BY id DESC LIMIT %(limit)s;
