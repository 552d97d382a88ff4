-- entity: public.loyalty_log
-- key:    id
-- scope:  id
-- source: shop.loyalty_entry(legacy_log_id)
-- after:  loyalty/loyalty_accounts
-- The ledger; adjustments are no rows there, the way forth makes them again of balance and log.
SELECT a.key AS id,
       e.account_id,
       CASE WHEN upper(l.kind) = k.code THEN l.kind ELSE k.code END AS kind,
       CASE WHEN abs(l.points) = abs(e.points) THEN l.points ELSE e.points END AS points,
       CASE WHEN l.id IS NOT NULL AND e.order_id IS NULL THEN l.order_id ELSE coalesce(e.order_id, 0) END AS order_id,
       CASE WHEN l.id IS NOT NULL AND (l.note IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM e.reason THEN l.note
            ELSE left(e.reason, 255) END AS note,
       CASE WHEN l.created_at AT TIME ZONE 'Europe/Warsaw' = e.happened_at THEN l.created_at
            ELSE e.happened_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.loyalty_entry e ON e.legacy_log_id = a.key
JOIN (VALUES ('earned', 'E'), ('spent', 'S'), ('expired', 'X')) k (kind, code) ON k.kind = e.kind::text
LEFT JOIN public.loyalty_log l ON l.id = a.key
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.note;
