-- What is kept in the new shop after the end of a move. %(route)s is the route's name.

-- name: backups
-- The dumps that were kept: by their number, with the file and the end.
SELECT id, detail->>'file', (detail->>'taken')::timestamptz, (detail->>'keep_until')::timestamptz
FROM shopferry_audit.entry WHERE route = %(route)s AND what = 'backup' AND detail->>'removed' IS NULL ORDER BY id;

-- name: removed
-- A dump has gone.
UPDATE shopferry_audit.entry SET detail = detail || jsonb_build_object('removed', now()) WHERE id = %(id)s;

-- name: names
-- Entries that still name staff, since when, and until when they may.
SELECT count(*), min(at), min(names_until) FROM shopferry_audit.entry
WHERE route = %(route)s AND names_until IS NOT NULL;

-- name: forget_names
-- What was done stays known, by whom does not; words that people have written may name them as well.
UPDATE shopferry_audit.entry
SET who = NULL, names_until = NULL,
    detail = detail - ARRAY['who', 'ran_by', 'holder', 'without_rehearsal', 'real_data_by', 'approved', 'approved_by', 'kept_by', 'verified_by',
                            'verified_how', 'decided_by', 'despite', 'refusal', 'evidence', 'explanation', 'why']
WHERE route = %(route)s AND names_until IS NOT NULL;

-- name: ledger
-- The ledger of erasures, while a backup is left out of which erased people could come back.
SELECT count(*), min(at), max(keep_until) FROM shopferry_audit.erased WHERE route = %(route)s;

-- name: forget_ledger
DELETE FROM shopferry_audit.erased WHERE route = %(route)s;
