-- name: columns
-- What numbers the columns of a table: sequences that are theirs (identity, serial) or that a default draws from.
SELECT a.attname, s.seqrelid, n.nspname, c.relname, s.seqincrement,
       -- What the column's own type holds, where that is less than the sequence may give.
       least(s.seqmax, CASE coalesce(nullif(t.typbasetype, 0), t.oid)
                           WHEN 'smallint'::regtype THEN 32767 WHEN 'integer'::regtype THEN 2147483647 END),
       t.typcategory = 'N',
       has_sequence_privilege(s.seqrelid, 'SELECT') AND has_sequence_privilege(s.seqrelid, 'UPDATE')
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
    SELECT d.objid AS oid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
    UNION
    SELECT d.refobjid FROM pg_attrdef f
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
    WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
) q
JOIN pg_sequence s ON s.seqrelid = q.oid
JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum, s.seqrelid;

-- name: next
-- The number that a sequence gives next, and the largest that stands in one column it numbers.
SELECT s.last_value + CASE WHEN s.is_called THEN {increment} ELSE 0 END, (SELECT coalesce(max(t.{column}), 0) FROM {table} t)
FROM {sequence} s;

-- name: set
SELECT setval(%(sequence)s::oid::regclass, %(next)s, false);
