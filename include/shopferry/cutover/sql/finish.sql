-- The end of a migration, statement by statement. %(route)s is the route's name, %(slot)s that of its slot and publication.

-- name: audit
-- What is kept in the new shop for good: who did what and when, in numbers and keys, without a row's values.
CREATE SCHEMA IF NOT EXISTS shopferry_audit;
CREATE TABLE IF NOT EXISTS shopferry_audit.entry (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route  text NOT NULL,
    at     timestamptz,
    what   text NOT NULL,
    who    text,
    detail jsonb NOT NULL
);
ALTER TABLE shopferry_audit.entry ADD COLUMN IF NOT EXISTS names_until timestamptz;  -- `privacy sweep` takes staff's names then
COMMENT ON SCHEMA shopferry_audit IS 'What shopferry did here; kept after the migration. Nothing reads it: drop it when nobody asks any more.';
COMMENT ON TABLE shopferry_audit.entry IS 'One act of the migration each: phase, rehearsal, verification, repair, backup, gate, audit, activation, switch, decision, acceptance, pair, look, request, finish, dropped.';

-- name: gather
INSERT INTO shopferry_audit.entry (route, at, what, who, detail)
SELECT route, at, what, who, detail FROM (
    SELECT route, finished AS at, 'phase' AS what, ran_by AS who, to_jsonb(p) AS detail FROM ferry.phase p
    UNION ALL SELECT route, at, 'rehearsal', who, to_jsonb(r) FROM ferry.rehearsal r
    UNION ALL SELECT route, at, 'verification', NULL, to_jsonb(v) FROM ferry.verification v
    UNION ALL SELECT route, at, 'repair', who, to_jsonb(r) FROM ferry.repair r
    -- The shapes of a difference's values go with the values.
    UNION ALL SELECT route, settled, 'difference', who, to_jsonb(d) - 'expected' - 'found' FROM ferry.difference d
              WHERE state IN ('explained', 'repaired')
    UNION ALL SELECT route, taken, 'backup', who, to_jsonb(b) FROM ferry.backup b
    UNION ALL SELECT route, at, 'gate', NULL, to_jsonb(g) FROM ferry.gate g
    UNION ALL SELECT route, at, 'audit', who, to_jsonb(r) || jsonb_build_object('values', (
                     SELECT coalesce(jsonb_agg(to_jsonb(v) - 'run' ORDER BY audit, segment), '[]') FROM ferry.audit_value v WHERE v.run = r.id))
              FROM ferry.audit_run r
    UNION ALL SELECT route, at, 'activation', who, to_jsonb(a) FROM ferry.activation_run a
    UNION ALL SELECT route, at, 'switch', who, to_jsonb(s) FROM ferry.cutover_step s
    UNION ALL SELECT route, at, 'decision', who, to_jsonb(d) FROM ferry.decision d
    UNION ALL SELECT route, at, 'acceptance', who, to_jsonb(a) FROM ferry.acceptance a
    UNION ALL SELECT route, at, 'pair', who, to_jsonb(p) - 'features' FROM ferry.pair p WHERE who IS NOT NULL
    UNION ALL SELECT route, coalesce(closed, decided_at, received), 'request', decided_by, to_jsonb(r) FROM ferry.request r
    UNION ALL SELECT %(route)s, at, 'look', who, to_jsonb(l) FROM ferry.looked l
    UNION ALL SELECT %(route)s, now(), 'not carried', NULL,
                     jsonb_build_object('entity', entity, 'reason', reason, 'rows', count(*))
              FROM ferry.quarantine, unnest(reasons) AS reason GROUP BY entity, reason
    UNION ALL SELECT %(route)s, now(), 'left out', NULL,
                     jsonb_build_object('entity', entity, 'reason', reason, 'rows', count(*))
              FROM ferry.left_out GROUP BY entity, reason
) acts
WHERE route = %(route)s
ORDER BY at NULLS LAST;

-- name: finished
-- Whether the new shop's part is done: what is left may be done by whoever comes.
SELECT detail->>'approved' FROM shopferry_audit.entry WHERE route = %(route)s AND what = 'finish' ORDER BY id DESC LIMIT 1;

-- name: note
INSERT INTO shopferry_audit.entry (route, at, what, who, detail)
VALUES (%(route)s, now(), 'finish', %(who)s, jsonb_build_object('approved', %(who)s::text));

-- name: built_on
-- What is not ours and would go with ours: relations in the schema of the mirror's views, views and foreign keys over ours.
WITH shown AS (  -- the schema of the mirror's views is named for the store that they show
    SELECT m.relname, n.oid AS schema FROM pg_class m
    JOIN pg_namespace n ON n.nspname = split_part(coalesce(obj_description(m.oid, 'pg_class'), 'legacy'), ' ', 1)
    WHERE m.relnamespace = to_regnamespace('mirror') AND m.relkind = 'r'
), ours AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('ferry', 'mirror', 'shopferry') OR obj_description(n.oid, 'pg_namespace') LIKE 'Views of shopferry %'
    UNION SELECT c.oid FROM pg_class c JOIN shown s ON s.schema = c.relnamespace AND s.relname = c.relname AND c.relkind = 'v'
)
SELECT 'relation ' || c.oid::regclass AS what FROM pg_class c
WHERE c.relnamespace IN (SELECT schema FROM shown) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.oid NOT IN (TABLE ours)
UNION
SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass
FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class v ON v.oid = r.ev_class
WHERE d.refobjid IN (TABLE ours) AND v.oid NOT IN (TABLE ours) AND v.relnamespace NOT IN (SELECT schema FROM shown)
UNION
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND confrelid IN (TABLE ours) AND conrelid NOT IN (TABLE ours)
ORDER BY 1;

-- name: standing
-- Every object of ours in this database, but for the audit log.
SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname IN ('ferry', 'shopferry') OR (nspname = 'clean' AND obj_description(oid, 'pg_namespace') LIKE '%% of a shopferry route;%%') OR (nspname IN ('mirror', 'legacy') AND %(shop)s)
   OR (nspname IN ('mirror', 'shop') AND NOT %(shop)s AND to_regclass('ferry.route') IS NOT NULL)
UNION ALL
SELECT 'fence on ' || tgrelid::regclass FROM pg_trigger WHERE tgname = 'shopferry_fence'
UNION ALL
SELECT 'publication ' || pubname FROM pg_publication WHERE pubname IN (%(slot)s::text, %(slot)s::text || '_reverse')
UNION ALL
SELECT 'replication slot ' || slot_name FROM pg_replication_slots
WHERE slot_name IN (%(slot)s::text, %(slot)s::text || '_reverse') AND database = current_database()
UNION ALL
SELECT 'replication origin ' || roname FROM pg_replication_origin
WHERE roname ~ ('^shopferry_' || %(route)s || '(_reverse)?_[0-9]+$')
UNION ALL
SELECT 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE p.pronamespace = to_regnamespace('ferry') AND t.tgname <> 'shopferry_fence'
ORDER BY 1;
