-- name: begin
-- An import that is under way: its time comes with its end.
INSERT INTO ferry.optout_import (route, source, format, file_sha256, imported_by)
VALUES (%(route)s, %(source)s, %(format)s, %(file_sha256)s, %(imported_by)s) RETURNING id;

-- name: take
-- Opt-outs that are new, or of a later time than was known. They are noted as changed rows. Yields how many.
WITH taken AS (
    INSERT INTO ferry.optout AS o (route, source, mark, kind, channel, reason, at, imported)
    SELECT %(route)s, %(source)s, g.mark, g.kind, g.channel, g.reason, g.at, %(imported)s
    FROM unnest(%(marks)s::text[], %(kinds)s::text[], %(channels)s::text[], %(reasons)s::text[], %(times)s::timestamptz[])
        AS g (mark, kind, channel, reason, at)
    ON CONFLICT (mark, channel, source, reason, route) DO UPDATE SET at = excluded.at, imported = excluded.imported
    WHERE o.at < coalesce(excluded.at, 'infinity')
    RETURNING o.*
), noted AS (
    INSERT INTO {changed} SELECT t.*, NULL::text[] FROM taken t RETURNING 1
)
SELECT count(*) FROM noted;

-- name: count_known
-- How many of these marks are of addresses that a mapping has met.
SELECT count(*) FROM unnest(%(marks)s::text[]) AS g (mark)
WHERE EXISTS (SELECT FROM ferry.standardized s WHERE s.kind IN ('email_mark', 'phone_mark') AND s.value = g.mark);

-- name: finish
-- The import is through.
UPDATE ferry.optout_import
SET imported_at = clock_timestamp(), rows_taken = %(rows_taken)s, rows_known = %(rows_known)s
WHERE id = %(id)s;

-- name: ages
-- How many hours ago the last import of each source was through.
SELECT source, extract(epoch FROM clock_timestamp() - max(imported_at)) / 3600 FROM ferry.optout_import
WHERE route = %(route)s AND imported_at IS NOT NULL GROUP BY source ORDER BY source;
