-- check:    every order's status history is as long as in legacy
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   merge the order named anew
-- But for the entries in quarantine, which are counted by name.
WITH old AS (
    SELECT t.order_id, count(*) FILTER (WHERE q.row_key IS NULL AND l.row_key IS NULL) AS n, count(q.row_key) AS held
    FROM legacy.order_status_log t
    LEFT JOIN ferry.quarantine q ON q.entity = 'shop.order_event' AND q.row_key = t.id::text
    LEFT JOIN ferry.left_out l ON l.entity = 'shop.order_event' AND l.row_key = t.id::text
    GROUP BY t.order_id
), new AS (
    SELECT e.order_id, count(*) AS n FROM shop.order_event e GROUP BY e.order_id
)
SELECT coalesce(old.order_id, new.order_id)::text AS key,
       format('legacy %s entries and %s in quarantine, shop %s', coalesce(old.n, 0), coalesce(old.held, 0),
              coalesce(new.n, 0)) AS found
FROM old
FULL JOIN new ON new.order_id = old.order_id
WHERE coalesce(old.n, 0) <> coalesce(new.n, 0);
