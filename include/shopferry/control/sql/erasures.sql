-- name: note
-- Rows that are erased. One that is noted already gets the marks of before and those of now.
INSERT INTO shopferry.erased AS e (route, relation, key, marks, clears, request)
SELECT %(route)s, g.relation, g.key, g.marks, g.clears, %(request)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS g (relation text, key text, marks text[], clears jsonb)
ON CONFLICT (route, relation, key) DO UPDATE
SET marks = ARRAY(SELECT DISTINCT m FROM unnest(e.marks || excluded.marks) m ORDER BY m), clears = excluded.clears
WHERE NOT excluded.marks <@ e.marks OR e.clears IS DISTINCT FROM excluded.clears;

-- name: find
-- The noted ones among these rows.
SELECT e.relation, e.key, e.marks, e.clears
FROM shopferry.erased e
JOIN unnest(%(relations)s::text[], %(keys)s::text[]) AS g (relation, key) ON (e.relation, e.key) = (g.relation, g.key)
WHERE e.route = %(route)s;

-- name: list
-- All of them, or those of one request.
SELECT relation, key, marks, clears, request FROM shopferry.erased
WHERE route = %(route)s AND request = coalesce(%(request)s, request) ORDER BY request, relation, key;

-- name: sum
-- How many there are, and one number that is another for other rows or marks.
SELECT count(*), coalesce(sum(hash_record_extended(ROW(relation, key, marks), 0)), 0) FROM shopferry.erased
WHERE route = %(route)s AND request <> ALL (%(but)s::bigint[]);
