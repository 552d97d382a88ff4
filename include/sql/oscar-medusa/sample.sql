-- What a rehearsal takes of Oscar: some customers, with all that belongs to them, and orders of guests and of nobody.
-- Runs in psql, query by query, in Oscar's database; the grammar is in docs/howto/rehearse.md.

-- name: everybody
-- As many of these as are asked for are chosen at random.
SELECT id FROM auth_user WHERE NOT is_staff AND NOT is_superuser;

-- name: odd
-- Accounts that show what else goes wrong.
SELECT id, 'staff' AS reason FROM auth_user WHERE is_staff OR is_superuser
UNION ALL
SELECT id, 'blocked' FROM auth_user WHERE NOT is_active
UNION ALL
SELECT id, 'no e-mail' FROM auth_user WHERE email !~ '^[^@ ]+@[^@ ]+[.][^@ ]+$'
UNION ALL
SELECT id, 'one of several accounts' FROM (SELECT id, count(*) OVER (PARTITION BY lower(btrim(email))) AS accounts FROM auth_user) u
WHERE accounts > 1
UNION ALL
SELECT id, 'no known password' FROM auth_user WHERE password !~ '^pbkdf2_'
UNION ALL
SELECT user_id, 'order that does not add up' FROM order_order o
WHERE user_id IS NOT NULL
  AND total_incl_tax <> shipping_incl_tax + (SELECT coalesce(sum(line_price_incl_tax), 0) FROM order_line l WHERE l.order_id = o.id)
                                          + (SELECT coalesce(sum(incl_tax), 0) FROM order_surcharge s WHERE s.order_id = o.id)
UNION ALL
SELECT user_id, 'odd number' FROM order_order WHERE user_id IS NOT NULL AND number !~ '^[1-9][0-9]{0,8}$'
UNION ALL
SELECT user_id, 'rare state' FROM order_order
WHERE user_id IS NOT NULL AND status IN (SELECT status FROM order_order GROUP BY 1 ORDER BY count(*) LIMIT 5)
UNION ALL
SELECT user_id, 'rare currency' FROM order_order
WHERE user_id IS NOT NULL AND currency IN (SELECT currency FROM order_order GROUP BY 1 ORDER BY count(*) LIMIT 5)
UNION ALL
SELECT o.user_id, 'refund' FROM order_order o JOIN payment_source s ON s.order_id = o.id WHERE s.amount_refunded > 0 AND o.user_id IS NOT NULL
UNION ALL
(SELECT user_id, 'many orders' FROM order_order WHERE user_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 5);

-- name: kin
-- The other accounts of those that are chosen.
SELECT u.id
FROM auth_user u
WHERE lower(btrim(u.email)) IN (SELECT lower(btrim(k.email)) FROM auth_user k JOIN chosen USING (id) WHERE k.email LIKE '%@%');

-- name: auth_user
SELECT id FROM auth_user WHERE id IN (SELECT id FROM chosen);

-- name: address_useraddress
SELECT id FROM address_useraddress WHERE user_id IN (SELECT id FROM chosen);

-- name: order_order
-- Those of the chosen, and a few of guests and of nobody.
SELECT id FROM order_order WHERE user_id IN (SELECT id FROM chosen)
UNION
(SELECT id FROM order_order WHERE user_id IS NULL ORDER BY id DESC LIMIT 50);

-- name: order_shippingaddress
SELECT shipping_address_id AS id FROM order_order WHERE id IN (SELECT id FROM sample_order_order) AND shipping_address_id IS NOT NULL;

-- name: order_billingaddress
SELECT billing_address_id AS id FROM order_order WHERE id IN (SELECT id FROM sample_order_order) AND billing_address_id IS NOT NULL;

-- name: order_line
SELECT id FROM order_line WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_surcharge
SELECT id FROM order_surcharge WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_orderdiscount
SELECT id FROM order_orderdiscount WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_orderlinediscount
SELECT id FROM order_orderlinediscount WHERE line_id IN (SELECT id FROM sample_order_line);

-- name: order_orderstatuschange
SELECT id FROM order_orderstatuschange WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_ordernote
SELECT id FROM order_ordernote WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_shippingevent
SELECT id FROM order_shippingevent WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: order_shippingeventquantity
SELECT id FROM order_shippingeventquantity WHERE event_id IN (SELECT id FROM sample_order_shippingevent);

-- name: order_shippingeventtype
SELECT id FROM order_shippingeventtype;

-- name: payment_source
SELECT id FROM payment_source WHERE order_id IN (SELECT id FROM sample_order_order);

-- name: payment_transaction
SELECT id FROM payment_transaction WHERE source_id IN (SELECT id FROM sample_payment_source);

-- name: payment_sourcetype
SELECT id FROM payment_sourcetype;
