-- What becomes of dumps, of the ledger of erasures and of staff's names at the end. %(route)s is the route's name.

-- name: names
-- From now on names of staff have an end.
UPDATE shopferry_audit.entry SET names_until = %(until)s WHERE route = %(route)s AND names_until IS NULL;

-- name: keep
-- A person keeps the dumps beyond the end.
UPDATE shopferry_audit.entry
SET detail = detail || jsonb_build_object('kept_by', %(name)s::text, 'keep_until', %(until)s::timestamptz)
WHERE route = %(route)s AND what = 'backup' AND detail->>'removed' IS NULL;

-- name: last_end
-- When the last backup ends out of which somebody could come back: those that are kept, and what the team's command has put elsewhere.
SELECT max((detail->>'keep_until')::timestamptz) FROM shopferry_audit.entry
WHERE route = %(route)s AND what = 'backup' AND detail->>'removed' IS NULL
  AND (detail ? 'kept_by' OR detail->>'method' = 'command');

-- name: ledger
CREATE TABLE IF NOT EXISTS shopferry_audit.erased (
    route      text NOT NULL,
    relation   text NOT NULL,
    key        text NOT NULL,
    marks      text[] NOT NULL,
    clears     jsonb,
    request    bigint NOT NULL,
    at         timestamptz NOT NULL,
    keep_until timestamptz NOT NULL,         -- when the last backup ends of which we know
    PRIMARY KEY (route, relation, key)
);
COMMENT ON TABLE shopferry_audit.erased IS 'Who was erased while shopferry moved the shop, as keys and keyed marks: whoever restores a backup erases them again.';

-- name: hand_over
INSERT INTO shopferry_audit.erased (route, relation, key, marks, clears, request, at, keep_until)
SELECT route, relation, key, marks, clears, request, at, %(until)s FROM shopferry.erased WHERE route = %(route)s
ON CONFLICT (route, relation, key) DO UPDATE SET marks = excluded.marks, keep_until = excluded.keep_until;

-- name: dumps
-- The backups that the move has taken, oldest first.
SELECT id, detail->>'store', (detail->>'taken')::timestamptz, detail->>'file', detail->>'method', detail->>'kept_by',
       (detail->>'keep_until')::timestamptz, detail->>'removed' IS NOT NULL
FROM shopferry_audit.entry WHERE route = %(route)s AND what = 'backup' ORDER BY id;

-- name: removed
UPDATE shopferry_audit.entry SET detail = detail || jsonb_build_object('removed', now()) WHERE id = %(id)s;

-- name: book
-- What was dropped in one place.
INSERT INTO shopferry_audit.entry (route, at, what, detail)
VALUES (%(route)s, now(), 'dropped', jsonb_build_object('where', %(where)s::text, 'what', %(what)s::text[]));

-- name: dropped
-- Everything that was dropped, by place.
SELECT detail->>'where', array_agg(DISTINCT w ORDER BY w)
FROM shopferry_audit.entry, jsonb_array_elements_text(detail->'what') AS w
WHERE route = %(route)s AND what = 'dropped' GROUP BY 1 ORDER BY 1;

-- name: finish
-- When the move was ended, who approved it, and until when names of staff stay.
SELECT at, who, names_until FROM shopferry_audit.entry WHERE route = %(route)s AND what = 'finish' ORDER BY id DESC LIMIT 1;

-- name: erased
SELECT count(*), max(keep_until) FROM shopferry_audit.erased WHERE route = %(route)s;
