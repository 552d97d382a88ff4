-- What the shop's application does in the legacy store. Each query is one business transaction; each row it returns is a
-- fact [table, id, {what must be found}] or [table, id, null] for a row that must be gone. No row: nothing to do it to.
-- A worker touches only rows whose id is its own modulo the number of workers, so that facts have one order per row. Where
-- few rows will do, it looks at the next so many and not at all that follow: a write must not take longer as the shop grows.

-- name: sign_up
WITH c AS (
    INSERT INTO customers (login, email, full_name, phone, pass_hash, bill_street, bill_postcode, bill_city, bill_country,
                           newsletter, newsletter_date, active, deleted, last_ip, last_login, created_at)
    VALUES (%(email)s, %(email)s, %(given)s || ' ' || %(family)s, %(phone)s, %(hash)s, %(street)s, %(postcode)s, %(city)s, 'PL',
            'T', to_char(now(), 'YYYY-MM-DD'), 'T', 'N', '10.0.0.1', now() AT TIME ZONE 'Europe/Warsaw',
            now() AT TIME ZONE 'Europe/Warsaw')
    RETURNING id, email, phone
), a AS (
    INSERT INTO addresses (customer_id, full_name, street, postcode, city, country, phone, is_default, deleted, created_at)
    SELECT c.id, %(given)s || ' ' || %(family)s, %(street)s, %(postcode)s, %(city)s, 'Polska', %(phone)s, 'T', 'N',
           now() AT TIME ZONE 'Europe/Warsaw'
    FROM c RETURNING id, street
), s AS (
    INSERT INTO consents (customer_id, channel, granted, granted_at, ip, wording)
    SELECT c.id, 'email', 'T', now() AT TIME ZONE 'Europe/Warsaw', '10.0.0.1', 'v6' FROM c RETURNING id
), l AS (
    INSERT INTO loyalty_accounts (customer_id, card_number, points, tier, created_at)
    SELECT c.id, '29' || lpad(c.id::text, 11, '0'), 0, 'standard', now() AT TIME ZONE 'Europe/Warsaw'
    FROM c WHERE c.id %% 2 = 0 RETURNING id
)
SELECT jsonb_build_array('customers', id, jsonb_build_object('email', email, 'phone', phone)) FROM c
UNION ALL SELECT jsonb_build_array('addresses', id, jsonb_build_object('street', street)) FROM a
UNION ALL SELECT jsonb_build_array('consents', id, jsonb_build_object('state', 'granted')) FROM s
UNION ALL SELECT jsonb_build_array('loyalty_accounts', id, jsonb_build_object('points', 0)) FROM l

-- name: change_phone
UPDATE customers SET phone = %(phone)s, bill_country = 'PL'
WHERE id = (SELECT id FROM customers WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint
            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customers', id, jsonb_build_object('phone', phone))

-- name: change_email
-- Not of who has another account by that address: they would be two persons from then on, and facts follow rows.
UPDATE customers SET email = %(email)s
WHERE id = (SELECT id FROM (SELECT id, email FROM customers WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint
                            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 20) c
            WHERE NOT EXISTS (SELECT FROM customers o WHERE lower(btrim(o.email)) = lower(btrim(c.email)) AND o.id <> c.id)
            ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customers', id, jsonb_build_object('email', email))

-- name: leave
UPDATE customers SET deleted = 'T'
WHERE id = (SELECT id FROM customers WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint
            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customers', id, jsonb_build_object('deleted', true))

-- name: add_address
INSERT INTO addresses (customer_id, full_name, street, postcode, city, country, phone, is_default, deleted, created_at)
SELECT id, full_name, %(street)s, %(postcode)s, %(city)s, 'Polska', %(phone)s, 'N', 'N', now() AT TIME ZONE 'Europe/Warsaw'
FROM customers
WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint AND id %% %(workers)s = %(worker)s AND deleted = 'N'
ORDER BY id LIMIT 1
RETURNING jsonb_build_array('addresses', id, jsonb_build_object('street', street, 'city', city))

-- name: change_address
UPDATE addresses SET street = %(street)s, postcode = %(postcode)s, city = %(city)s, country = 'Polska'
WHERE id = (SELECT id FROM addresses WHERE id >= (%(dice)s * (SELECT max(id) FROM addresses))::bigint
            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('addresses', id, jsonb_build_object('street', street, 'city', city))

-- name: delete_address
DELETE FROM addresses
WHERE id = (SELECT id FROM addresses WHERE id >= (%(dice)s * (SELECT max(id) FROM addresses))::bigint
            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('addresses', id, NULL)

-- name: consent
INSERT INTO consents (customer_id, channel, granted, granted_at, ip, wording)
SELECT id, %(channel)s, 'T', now() AT TIME ZONE 'Europe/Warsaw', '10.0.0.2', 'v6'
FROM customers
WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint AND id %% %(workers)s = %(worker)s AND deleted = 'N'
ORDER BY id LIMIT 1
RETURNING jsonb_build_array('consents', id, jsonb_build_object('state', 'granted'))

-- name: withdraw
UPDATE consents SET withdrawn_at = now() AT TIME ZONE 'Europe/Warsaw'
WHERE id = (SELECT id FROM consents WHERE id >= (%(dice)s * (SELECT max(id) FROM consents))::bigint
            AND id %% %(workers)s = %(worker)s AND withdrawn_at IS NULL ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('consents', id, jsonb_build_object('state', 'withdrawn'))

-- name: wish
-- Of who has no other account by that address, deleted ones too: never, said in any of them, would hold for all.
UPDATE customers SET news_frequency = %(frequency)s, news_topics = 'Książki; offers'
WHERE id = (SELECT id FROM (SELECT id, email FROM customers WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint
                            AND id %% %(workers)s = %(worker)s AND deleted = 'N' ORDER BY id LIMIT 20) c
            WHERE NOT EXISTS (SELECT FROM customers o
                              WHERE lower(btrim(o.email)) IN (lower(btrim(c.email)), lower(replace(c.email, ' ', '')),
                                                              replace(lower(btrim(c.email)), '@', ' @')) AND o.id <> c.id)
            ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customers', id, jsonb_build_object('frequency', news_frequency))

-- name: order
WITH c AS (
    SELECT id, email, full_name FROM customers
    WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint AND id %% %(workers)s = %(worker)s AND deleted = 'N'
    ORDER BY id LIMIT 1
), o AS (
    INSERT INTO orders (number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost,
                        ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone, created_at)
    SELECT 'W/' || %(token)s, c.id, c.email, 'NEW', %(price)s::numeric * 3 + 9.99, 'PLN', 'BLIK', 'INPOST', 9.99,
           c.full_name, %(street)s, %(postcode)s, %(city)s, 'PL', %(phone)s, now() AT TIME ZONE 'Europe/Warsaw'
    FROM c RETURNING id, customer_id, total
), i AS (
    INSERT INTO order_items (order_id, sku, name, quantity, unit_price, vat_rate, line_total)
    SELECT o.id, 'SKU-' || n, 'Artykuł żółty ' || n, n, %(price)s, 23, %(price)s::numeric * n FROM o, generate_series(1, 2) AS n
    RETURNING id, quantity
), s AS (
    INSERT INTO order_status_log (order_id, status_code, changed_by, changed_at)
    SELECT o.id, 'NEW', 'system', now() AT TIME ZONE 'Europe/Warsaw' FROM o RETURNING id
)
SELECT jsonb_build_array('orders', id, jsonb_build_object('status', 'pending', 'total', round(total, 2)::text)) FROM o
UNION ALL SELECT jsonb_build_array('order_items', id, jsonb_build_object('quantity', quantity)) FROM i
UNION ALL SELECT jsonb_build_array('order_status_log', id, jsonb_build_object('status', 'pending')) FROM s

-- name: status
WITH o AS (
    UPDATE orders SET status_code = CASE status_code WHEN 'NEW' THEN CASE WHEN %(dice)s < 0.1 THEN 'CANC' ELSE 'PAID' END
                                                     WHEN 'PAID' THEN 'SENT' ELSE 'DONE' END
    WHERE id = (SELECT id FROM (SELECT id, status_code FROM orders
                                WHERE id >= (SELECT max(id) - %(dice)s * least(max(id), 20000) FROM orders)::bigint
                                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
                WHERE status_code IN ('NEW', 'PAID', 'SENT') ORDER BY id LIMIT 1)
    RETURNING id, status_code, ship_name, ship_street, ship_postcode, ship_city, ship_country, total, currency,
              CASE status_code WHEN 'CANC' THEN 'cancelled' WHEN 'PAID' THEN 'paid' WHEN 'SENT' THEN 'shipped'
                               ELSE 'delivered' END AS status
), s AS (
    INSERT INTO order_status_log (order_id, status_code, changed_by, changed_at)
    SELECT o.id, o.status_code, 'anna', now() AT TIME ZONE 'Europe/Warsaw' FROM o RETURNING id, status_code
), v AS (
    INSERT INTO order_invoices (order_id, number, buyer_name, buyer_street, buyer_postcode, buyer_city, buyer_country, total,
                                currency, issued_at)
    SELECT o.id, 'W/' || o.id, o.ship_name, o.ship_street, o.ship_postcode, o.ship_city, o.ship_country, o.total, o.currency,
           now() AT TIME ZONE 'Europe/Warsaw'
    FROM o WHERE o.status_code = 'PAID' RETURNING id, number, total
)
SELECT jsonb_build_array('orders', id, jsonb_build_object('status', status)) FROM o
UNION ALL SELECT jsonb_build_array('order_status_log', s.id, jsonb_build_object('status', o.status)) FROM s, o
UNION ALL SELECT jsonb_build_array('order_invoices', id, jsonb_build_object('number', number, 'total', round(total, 2)::text)) FROM v

-- name: delete_order
WITH o AS (
    DELETE FROM orders
    WHERE id = (SELECT id FROM (SELECT id, status_code, customer_id FROM orders
                                WHERE id >= (SELECT max(id) - %(dice)s * least(max(id), 20000) FROM orders)::bigint
                                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
                WHERE status_code = 'CANC'
                AND NOT EXISTS (SELECT FROM order_invoices v WHERE v.order_id = r.id)
                AND (SELECT count(*) FROM loyalty_accounts a JOIN loyalty_log l ON l.account_id = a.id
                     WHERE a.customer_id = r.customer_id AND l.order_id = r.id) = 0 ORDER BY id LIMIT 1)
    RETURNING id
), i AS (
    DELETE FROM order_items USING o WHERE order_id = o.id RETURNING order_items.id
), s AS (
    DELETE FROM order_status_log USING o WHERE order_id = o.id RETURNING order_status_log.id
)
SELECT jsonb_build_array('orders', id, NULL) FROM o
UNION ALL SELECT jsonb_build_array('order_items', id, NULL) FROM i
UNION ALL SELECT jsonb_build_array('order_status_log', id, NULL) FROM s

-- name: earn
WITH a AS (
    UPDATE loyalty_accounts SET points = points + %(points)s
    WHERE id = (SELECT id FROM loyalty_accounts WHERE id >= (%(dice)s * (SELECT max(id) FROM loyalty_accounts))::bigint
                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
    RETURNING id, points
), l AS (
    INSERT INTO loyalty_log (account_id, kind, points, order_id, note, created_at)
    SELECT a.id, 'E', %(points)s, 0, 'Premia', now() AT TIME ZONE 'Europe/Warsaw' FROM a RETURNING id, points
)
SELECT jsonb_build_array('loyalty_accounts', id, jsonb_build_object('points', points)) FROM a
UNION ALL SELECT jsonb_build_array('loyalty_log', id, jsonb_build_object('points', points)) FROM l

-- name: spend
WITH a AS (
    UPDATE loyalty_accounts SET points = points - %(points)s
    WHERE id = (SELECT id FROM loyalty_accounts WHERE id >= (%(dice)s * (SELECT max(id) FROM loyalty_accounts))::bigint
                AND id %% %(workers)s = %(worker)s AND points >= %(points)s ORDER BY id LIMIT 1)
    RETURNING id, points
), l AS (
    INSERT INTO loyalty_log (account_id, kind, points, order_id, note, created_at)
    SELECT a.id, 'S', -%(points)s, 0, 'Nagroda', now() AT TIME ZONE 'Europe/Warsaw' FROM a RETURNING id, points
), r AS (
    INSERT INTO loyalty_redemptions (account_id, order_id, reward, points, status, created_at)
    SELECT a.id, 0, 'Bon 20 zł', %(points)s, 'done', now() AT TIME ZONE 'Europe/Warsaw' FROM a RETURNING id, points
)
SELECT jsonb_build_array('loyalty_accounts', id, jsonb_build_object('points', points)) FROM a
UNION ALL SELECT jsonb_build_array('loyalty_log', id, jsonb_build_object('points', points)) FROM l
UNION ALL SELECT jsonb_build_array('loyalty_redemptions', id, jsonb_build_object('points', points)) FROM r

-- name: reward
INSERT INTO loyalty_rewards (customer_id, code, reward, points, earned_at, valid_until, state)
SELECT id, 'R' || %(token)s, 'Bon 20 zł', %(points)s, now() AT TIME ZONE 'Europe/Warsaw', to_char(now() + interval '1 year', 'DD.MM.YYYY'), 'O'
FROM customers
WHERE id >= (%(dice)s * (SELECT max(id) FROM customers))::bigint AND id %% %(workers)s = %(worker)s AND deleted = 'N'
ORDER BY id LIMIT 1
RETURNING jsonb_build_array('loyalty_rewards', id, jsonb_build_object('state', 'open', 'points', points))

-- name: take_reward
UPDATE loyalty_rewards SET state = 'W', taken_at = now() AT TIME ZONE 'Europe/Warsaw'
WHERE id = (SELECT id FROM (SELECT id, state FROM loyalty_rewards
                            WHERE id >= (%(dice)s * (SELECT max(id) FROM loyalty_rewards))::bigint
                            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
            WHERE state = 'O' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('loyalty_rewards', id, jsonb_build_object('state', 'taken'))

-- name: promotion
INSERT INTO promotions (code, kind, value, currency, valid_from, valid_to)
VALUES ('p' || %(token)s, '%%', %(points)s, 'PLN', to_char(now(), 'YYYY-MM-DD'), to_char(now() + interval '30 days', 'DD.MM.YYYY'))
RETURNING jsonb_build_array('promotions', id, jsonb_build_object('uses', used))

-- name: use_promotion
UPDATE promotions SET used = coalesce(used, 0) + 1
WHERE id = (SELECT id FROM promotions WHERE id >= (%(dice)s * (SELECT max(id) FROM promotions))::bigint
            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('promotions', id, jsonb_build_object('uses', used))
