-- check:    nothing of an order tells who its customer was, once that customer is deleted, or left out as inactive
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   merge the order named anew
-- By legacy's own flag, and not by the order's note. What the shop's staff notes of such an order after the cutover is theirs.
WITH left_behind AS (
    SELECT o.id
    FROM legacy.orders o
    JOIN legacy.customers c ON c.id = o.customer_id
    WHERE upper(c.deleted) IN ('T', 'Y', '1')
       OR EXISTS (SELECT FROM ferry.left_out x WHERE x.entity = 'shop.customer' AND x.row_key = c.id::text
                                                 AND x.reason = 'inactive_by_policy')
)
SELECT 'shop.customer_order' AS target, o.id::text AS key, concat_ws(', ',
           CASE WHEN o.customer_id IS NOT NULL THEN 'customer' END, CASE WHEN o.guest_email IS NOT NULL THEN 'e-mail' END,
           CASE WHEN o.note IS NOT NULL THEN 'note' END) AS found
FROM left_behind b
JOIN shop.customer_order o ON o.id = b.id
WHERE num_nonnulls(o.customer_id, o.guest_email, o.note) > 0
UNION ALL
SELECT 'shop.delivery', d.order_id::text, concat_ws(', ',
           CASE WHEN d.recipient IS NOT NULL THEN 'recipient' END, CASE WHEN d.street IS NOT NULL THEN 'street' END,
           CASE WHEN d.city IS NOT NULL THEN 'town' END, CASE WHEN length(d.postcode) > 2 THEN 'whole postcode' END,
           CASE WHEN d.phone IS NOT NULL THEN 'phone' END)
FROM left_behind b
JOIN shop.delivery d ON d.order_id = b.id
WHERE num_nonnulls(d.recipient, d.street, d.city, d.phone) > 0 OR length(d.postcode) > 2
UNION ALL
SELECT 'shop.order_event', v.id::text, concat_ws(', ',
           CASE WHEN v.actor IS NOT NULL THEN 'actor' END, CASE WHEN v.note IS NOT NULL THEN 'note' END)
FROM left_behind b
JOIN shop.order_event v ON v.order_id = b.id
WHERE num_nonnulls(v.actor, v.note) > 0
  AND NOT EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop');
