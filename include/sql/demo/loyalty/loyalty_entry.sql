-- entity: shop.loyalty_entry
-- key:    source_key
-- scope:  account_id
-- source: legacy.loyalty_log(account_id), legacy.loyalty_accounts(id), identity.customer
-- source: shop.loyalty_account(id), shop.customer_order
-- counts: legacy.loyalty_log(id) as legacy_log_id
-- index:  legacy.loyalty_accounts(customer_id)
-- index:  legacy.loyalty_log(order_id)
-- standardize: text legacy.loyalty_log (note)
-- The ledger: every log row with the sign its kind means, and, where points and log differ, one adjustment that says so.
-- Rows in quarantine are part of that difference until they are released, so balance = sum of the ledger at any time.
WITH logged AS (
    SELECT a.key, t.id, t.order_id, t.created_at, n.value AS note,
           CASE upper(t.kind) WHEN 'E' THEN 'earned' WHEN 'S' THEN 'spent' WHEN 'X' THEN 'expired' END AS kind,
           CASE WHEN t.points NOT BETWEEN -10000000 AND 10000000 THEN NULL
                WHEN upper(t.kind) = 'E' THEN abs(t.points) ELSE -abs(t.points) END AS points,
           CASE WHEN i.cluster LIKE '#% deleted' THEN 'customer_deleted'
                WHEN i.cluster LIKE '#% inactive' THEN 'customer_inactive' END AS left_out,
           CASE WHEN i.cluster LIKE ANY ('{#% deleted,#% inactive}') THEN '{}'::text[] ELSE array_remove(ARRAY[
               CASE WHEN l.id IS NULL THEN 'account_missing'
                WHEN sa.id IS NULL THEN 'account_quarantined' END,
               CASE WHEN upper(t.kind) IN ('E', 'S', 'X') IS NOT TRUE THEN 'entry_kind_unknown' END,
               CASE WHEN t.points IS NULL THEN 'points_missing'
                    WHEN t.points NOT BETWEEN -10000000 AND 10000000 THEN 'points_implausible' END,
               CASE WHEN t.created_at IS NULL THEN 'date_missing'
                    WHEN t.created_at < '1995-01-01' THEN 'date_implausible'
                    WHEN t.created_at >= '2035-01-01' THEN 'date_in_future' END
           ], NULL) END AS problems
    FROM affected a
    JOIN legacy.loyalty_log t ON t.account_id = a.key
    LEFT JOIN legacy.loyalty_accounts l ON l.id = t.account_id
    LEFT JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = l.customer_id
    LEFT JOIN shop.loyalty_account sa ON sa.id = t.account_id
    LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = t.note
), booked AS (
    SELECT t.key, sum(t.points)::integer AS points, max(t.created_at) AT TIME ZONE 'Europe/Warsaw' AS last
    FROM logged t
    WHERE cardinality(t.problems) = 0 AND t.left_out IS NULL
    GROUP BY t.key
)
SELECT t.key AS account_id,
       t.kind::shop.loyalty_entry_kind AS kind,
       t.points,
       co.id AS order_id,
       t.note AS reason,
       t.created_at AT TIME ZONE 'Europe/Warsaw' AS happened_at,
       'log:' || t.id AS source_key,
       t.id AS legacy_log_id,
       t.problems,
       t.left_out
FROM logged t
LEFT JOIN shop.customer_order co ON co.id = t.order_id
UNION ALL
SELECT sa.id,
       'adjustment',
       sa.balance - coalesce(g.points, 0),
       NULL,
       'points_differ_from_log',
       coalesce(g.last, sa.opened_at),
       'adjustment:' || sa.id,
       NULL,
       '{}',
       NULL
FROM affected a
JOIN shop.loyalty_account sa ON sa.id = a.key
LEFT JOIN booked g ON g.key = sa.id
WHERE sa.balance <> coalesce(g.points, 0);

-- lineage: identity.customer
SELECT l.id FROM changed c JOIN legacy.loyalty_accounts l ON l.customer_id = c.legacy_key;

-- lineage: shop.customer_order
SELECT t.account_id FROM changed c JOIN legacy.loyalty_log t ON t.order_id = c.id;
