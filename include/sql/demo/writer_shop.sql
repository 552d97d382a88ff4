-- The same business in the new shop; see writer_legacy.sql for what the rows mean. A fourth element is the key that a row got
-- in legacy when it was made. ["@addresses", id, null] says that what belongs to that legacy row is gone.

-- name: sign_up
WITH c AS (
    INSERT INTO shop.customer (email, given_name, family_name, phone, registered_at, last_seen_at)
    VALUES (%(email)s, %(given)s, %(family)s, %(phone)s, now(), now()) RETURNING id, email, phone, legacy_customer_id
), p AS (
    INSERT INTO shop.customer_credential (customer_id, login, scheme, hash) SELECT c.id, c.email, 'bcrypt', %(hash)s FROM c
), a AS (
    INSERT INTO shop.customer_address (customer_id, is_default, recipient, street, postcode, city, country_code, phone, created_at)
    SELECT c.id, true, %(given)s || ' ' || %(family)s, %(street)s, %(postcode)s, %(city)s, 'PL', %(phone)s, now()
    FROM c RETURNING id, street, legacy_address_id
), s AS (
    INSERT INTO shop.consent (customer_id, purpose, channel, state, granted_at, granted_ip, wording_version)
    SELECT c.id, 'marketing', 'email', 'granted', now(), '10.0.0.1', 'v6' FROM c RETURNING id, legacy_consent_id
), w AS (
    INSERT INTO shop.communication_preference (customer_id, channel, wanted, since) SELECT c.id, 'email', true, now() FROM c
), l AS (
    INSERT INTO shop.loyalty_account (customer_id, card_number, opened_at)
    SELECT c.id, '28' || lpad(c.id::text, 11, '0'), now() FROM c WHERE c.id %% 2 = 0 RETURNING id
)
SELECT jsonb_build_array('customer', id, jsonb_build_object('email', email, 'phone', phone), legacy_customer_id) FROM c
UNION ALL SELECT jsonb_build_array('customer_address', id, jsonb_build_object('street', street), legacy_address_id) FROM a
UNION ALL SELECT jsonb_build_array('consent', id, jsonb_build_object('state', 'granted'), legacy_consent_id) FROM s
UNION ALL SELECT jsonb_build_array('loyalty_account', id, jsonb_build_object('points', 0)) FROM l

-- name: change_phone
UPDATE shop.customer SET phone = %(phone)s
WHERE id = (SELECT id FROM shop.customer WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint
            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customer', id, jsonb_build_object('phone', phone), legacy_customer_id)

-- name: change_email
UPDATE shop.customer SET email = %(email)s
WHERE id = (SELECT id FROM shop.customer WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint
            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customer', id, jsonb_build_object('email', email), legacy_customer_id)

-- name: leave
UPDATE shop.customer SET status = 'blocked'
WHERE id = (SELECT id FROM shop.customer WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint
            AND id %% %(workers)s = %(worker)s AND status = 'active' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customer', id, jsonb_build_object('blocked', true), legacy_customer_id)

-- name: add_address
INSERT INTO shop.customer_address (customer_id, street, postcode, city, country_code, phone, created_at)
SELECT id, %(street)s, %(postcode)s, %(city)s, 'PL', %(phone)s, now()
FROM shop.customer
WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint AND id %% %(workers)s = %(worker)s
ORDER BY id LIMIT 1
RETURNING jsonb_build_array('customer_address', id, jsonb_build_object('street', street, 'city', city), legacy_address_id)

-- name: change_address
UPDATE shop.customer_address SET street = %(street)s, postcode = %(postcode)s, city = %(city)s, country_code = 'PL'
WHERE id = (SELECT id FROM shop.customer_address WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer_address))::bigint
            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('customer_address', id, jsonb_build_object('street', street, 'city', city), legacy_address_id)

-- name: delete_address
WITH d AS (
    DELETE FROM shop.customer_address
    WHERE id = (SELECT id FROM shop.customer_address WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer_address))::bigint
                AND id %% %(workers)s = %(worker)s AND NOT is_billing ORDER BY id LIMIT 1)
    RETURNING id, legacy_address_id
)
SELECT jsonb_build_array('customer_address', id, NULL) FROM d
UNION ALL SELECT jsonb_build_array('@addresses', legacy_address_id, NULL) FROM d WHERE legacy_address_id IS NOT NULL

-- name: consent
WITH given AS (
INSERT INTO shop.consent AS s (customer_id, purpose, channel, state, granted_at, granted_ip, wording_version)
SELECT id, 'marketing', %(channel)s::shop.contact_channel, 'granted', now(), '10.0.0.2', 'v6'
FROM shop.customer c
WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint AND id %% %(workers)s = %(worker)s
  -- Over a refusal of no known date none is given that a way back would keep: see reverse/losses.txt.
  AND NOT EXISTS (
      SELECT FROM shop.consent o CROSS JOIN LATERAL jsonb_array_elements(o.evidence) e
      WHERE o.customer_id = c.id AND o.purpose = 'marketing' AND o.channel = %(channel)s::shop.contact_channel
        AND CASE WHEN e->>'withdrawn' IS NOT NULL THEN (e->>'withdrawn')::timestamp
                 WHEN e->>'said' IN ('N', '0', 'F') THEN coalesce(e->>'at', 'infinity')::timestamp
            END NOT BETWEEN '1995-01-01' AND '2035-01-01')
ORDER BY id LIMIT 1
ON CONFLICT (customer_id, purpose, channel) DO UPDATE
SET state = 'granted', granted_at = now(), granted_ip = '10.0.0.2', wording_version = 'v6', withdrawn_at = NULL
RETURNING id, customer_id, purpose, channel, state, legacy_consent_id
), booked AS (
    INSERT INTO shop.consent_act (customer_id, purpose, channel, act, wording_version, ip)
    SELECT customer_id, purpose, channel, 'granted', 'v6', '10.0.0.2' FROM given
)
SELECT jsonb_build_array('consent', id, jsonb_build_object('state', state), legacy_consent_id) FROM given

-- name: withdraw
WITH taken AS (
UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = now()
WHERE id = (SELECT id FROM shop.consent WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.consent))::bigint
            AND customer_id %% %(workers)s = %(worker)s AND state <> 'withdrawn' ORDER BY id LIMIT 1)
RETURNING id, customer_id, purpose, channel, state, legacy_consent_id
), booked AS (
    INSERT INTO shop.consent_act (customer_id, purpose, channel, act)
    SELECT customer_id, purpose, channel, 'withdrawn' FROM taken
)
SELECT jsonb_build_array('consent', id, jsonb_build_object('state', state), legacy_consent_id) FROM taken

-- name: wish
-- Over a never none is said that a way back would keep, but never itself: see reverse/losses.txt.
WITH c AS (
    SELECT c.id, c.legacy_customer_id FROM shop.customer c
    WHERE c.id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint AND c.id %% %(workers)s = %(worker)s
      AND NOT EXISTS (SELECT FROM shop.communication_preference w
                      WHERE w.customer_id = c.id AND w.channel = 'email' AND w.frequency = 'never')
    ORDER BY c.id LIMIT 1
), w AS (
    INSERT INTO shop.communication_preference AS w (customer_id, channel, wanted, since, frequency, topics)
    SELECT c.id, 'email', CASE WHEN %(frequency)s = 'never' THEN false END, CASE WHEN %(frequency)s = 'never' THEN now()::date END,
           %(frequency)s, '{books,offers}' FROM c
    ON CONFLICT (customer_id, channel) DO UPDATE
    SET wanted = CASE WHEN EXCLUDED.wanted IS FALSE THEN false ELSE w.wanted END, since = coalesce(EXCLUDED.since, w.since),
        frequency = EXCLUDED.frequency, topics = EXCLUDED.topics
    RETURNING customer_id, frequency
)
SELECT jsonb_build_array('customer', c.id, jsonb_build_object('frequency', w.frequency), c.legacy_customer_id)
FROM c JOIN w ON w.customer_id = c.id

-- name: order
WITH c AS (
    SELECT id FROM shop.customer
    WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1
), o AS (
    INSERT INTO shop.customer_order (number, customer_id, status, currency, total, delivery_cost, placed_at)
    SELECT 'N/' || %(token)s, c.id, 'pending', 'PLN', %(price)s::numeric * 3 + 9.99, 9.99, now() FROM c RETURNING id, total
), i AS (
    INSERT INTO shop.order_line (order_id, sku, name, quantity, unit_price, vat_rate, total, currency)
    SELECT o.id, 'SKU-' || n, 'Artykuł żółty ' || n, n, %(price)s, 23, %(price)s::numeric * n, 'PLN'
    FROM o, generate_series(1, 2) AS n RETURNING id, quantity
), s AS (
    INSERT INTO shop.order_event (order_id, status, happened_at, actor) SELECT o.id, 'pending', now(), 'system' FROM o RETURNING id
), p AS (
    INSERT INTO shop.payment (order_id, method, state, amount, currency) SELECT o.id, 'blik', 'pending', o.total, 'PLN' FROM o
), d AS (
    INSERT INTO shop.delivery (order_id, method, state, cost, currency, street, postcode, city, country_code)
    SELECT o.id, 'parcel_locker', 'waiting', 9.99, 'PLN', %(street)s, %(postcode)s, %(city)s, 'PL' FROM o
)
SELECT jsonb_build_array('customer_order', id, jsonb_build_object('status', 'pending', 'total', total::text)) FROM o
UNION ALL SELECT jsonb_build_array('order_line', id, jsonb_build_object('quantity', quantity)) FROM i
UNION ALL SELECT jsonb_build_array('order_event', id, jsonb_build_object('status', 'pending')) FROM s

-- name: status
WITH o AS (
    UPDATE shop.customer_order
    SET status = CASE status WHEN 'pending' THEN CASE WHEN %(dice)s < 0.1 THEN 'cancelled' ELSE 'paid' END
                             WHEN 'paid' THEN 'shipped' ELSE 'delivered' END::shop.order_status
    WHERE id = (SELECT id FROM (SELECT id, status FROM shop.customer_order
                                WHERE id >= (SELECT max(id) - %(dice)s * least(max(id), 20000) FROM shop.customer_order)::bigint
                                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
                WHERE status IN ('pending', 'paid', 'shipped') ORDER BY id LIMIT 1)
    RETURNING id, status, total, currency
), s AS (
    INSERT INTO shop.order_event (order_id, status, happened_at, actor)
    SELECT o.id, o.status, now(), 'anna' FROM o RETURNING id, status
), p AS (
    UPDATE shop.payment SET state = CASE WHEN o.status = 'cancelled' THEN 'cancelled' ELSE 'paid' END::shop.payment_state
    FROM o WHERE payment.order_id = o.id
), v AS (
    INSERT INTO shop.order_invoice (order_id, number, buyer_name, buyer_street, buyer_postcode, buyer_city, buyer_country, total,
                                    currency, issued_at, keep_until)
    SELECT o.id, 'N/' || o.id, d.recipient, d.street, d.postcode, d.city, d.country_code, o.total, o.currency, now(),
           make_date(extract(year FROM now() AT TIME ZONE 'Europe/Warsaw')::integer + 5, 12, 31)
    FROM o LEFT JOIN shop.delivery d ON d.order_id = o.id WHERE o.status = 'paid' RETURNING id, number, total
)
SELECT jsonb_build_array('customer_order', id, jsonb_build_object('status', status)) FROM o
UNION ALL SELECT jsonb_build_array('order_event', id, jsonb_build_object('status', status)) FROM s
UNION ALL SELECT jsonb_build_array('order_invoice', id, jsonb_build_object('number', number, 'total', total::text)) FROM v

-- name: delete_order
WITH o AS (
    DELETE FROM shop.customer_order
    WHERE id = (SELECT id FROM (SELECT id, status FROM shop.customer_order
                                WHERE id >= (SELECT max(id) - %(dice)s * least(max(id), 20000) FROM shop.customer_order)::bigint
                                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
                WHERE status = 'cancelled'
                AND NOT EXISTS (SELECT FROM shop.order_invoice v WHERE v.order_id = r.id)
                AND NOT EXISTS (SELECT FROM shop.loyalty_entry e WHERE e.order_id = r.id)
                AND NOT EXISTS (SELECT FROM shop.loyalty_redemption e WHERE e.order_id = r.id)
                AND NOT EXISTS (SELECT FROM shop.loyalty_reward e WHERE e.order_id = r.id) ORDER BY id LIMIT 1)
    RETURNING id
), i AS (
    DELETE FROM shop.order_line t USING o WHERE t.order_id = o.id RETURNING t.id
), s AS (
    DELETE FROM shop.order_event t USING o WHERE t.order_id = o.id RETURNING t.id
), p AS (
    DELETE FROM shop.payment t USING o WHERE t.order_id = o.id
), d AS (
    DELETE FROM shop.delivery t USING o WHERE t.order_id = o.id
), w AS (
    DELETE FROM shop.order_line_withheld t USING o WHERE t.order_id = o.id
)
SELECT jsonb_build_array('customer_order', id, NULL) FROM o
UNION ALL SELECT jsonb_build_array('order_line', id, NULL) FROM i
UNION ALL SELECT jsonb_build_array('order_event', id, NULL) FROM s

-- name: earn
WITH a AS (
    UPDATE shop.loyalty_account SET balance = balance + %(points)s
    WHERE id = (SELECT id FROM shop.loyalty_account WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.loyalty_account))::bigint
                AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
    RETURNING id, balance
), l AS (
    INSERT INTO shop.loyalty_entry (account_id, kind, points, reason, happened_at)
    SELECT a.id, 'earned', %(points)s, 'Premia', now() FROM a RETURNING id, points, legacy_log_id
)
SELECT jsonb_build_array('loyalty_account', id, jsonb_build_object('points', balance)) FROM a
UNION ALL SELECT jsonb_build_array('loyalty_entry', id, jsonb_build_object('points', points), legacy_log_id) FROM l

-- name: spend
WITH a AS (
    UPDATE shop.loyalty_account SET balance = balance - %(points)s
    WHERE id = (SELECT id FROM shop.loyalty_account WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.loyalty_account))::bigint
                AND id %% %(workers)s = %(worker)s AND balance >= %(points)s ORDER BY id LIMIT 1)
    RETURNING id, balance
), l AS (
    INSERT INTO shop.loyalty_entry (account_id, kind, points, reason, happened_at)
    SELECT a.id, 'spent', -%(points)s, 'Nagroda', now() FROM a RETURNING id, points, legacy_log_id
), r AS (
    INSERT INTO shop.loyalty_redemption (account_id, reward, points, state, redeemed_at)
    SELECT a.id, 'Bon 20 zł', %(points)s, 'done', now() FROM a RETURNING id, points
)
SELECT jsonb_build_array('loyalty_account', id, jsonb_build_object('points', balance)) FROM a
UNION ALL SELECT jsonb_build_array('loyalty_entry', id, jsonb_build_object('points', points), legacy_log_id) FROM l
UNION ALL SELECT jsonb_build_array('loyalty_redemption', id, jsonb_build_object('points', points)) FROM r

-- name: reward
INSERT INTO shop.loyalty_reward (customer_id, code, reward, points, state, earned_at, valid_until)
SELECT id, 'R' || %(token)s, 'Bon 20 zł', %(points)s, 'open', now(), (now() + interval '1 year')::date
FROM shop.customer
WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.customer))::bigint AND id %% %(workers)s = %(worker)s
ORDER BY id LIMIT 1
RETURNING jsonb_build_array('loyalty_reward', id, jsonb_build_object('state', state, 'points', points))

-- name: take_reward
UPDATE shop.loyalty_reward SET state = 'taken', taken_at = now()
WHERE id = (SELECT id FROM (SELECT id, state FROM shop.loyalty_reward
                            WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.loyalty_reward))::bigint
                            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 500) r
            WHERE state = 'open' ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('loyalty_reward', id, jsonb_build_object('state', state))

-- name: promotion
INSERT INTO shop.promotion (code, kind, value, currency, valid_from, valid_to)
VALUES (upper('p' || %(token)s), 'percent', %(points)s, 'PLN', now()::date, (now() + interval '30 days')::date)
RETURNING jsonb_build_array('promotion', id, jsonb_build_object('uses', uses))

-- name: use_promotion
UPDATE shop.promotion SET uses = uses + 1
WHERE id = (SELECT id FROM shop.promotion WHERE id >= (%(dice)s * (SELECT max(id) FROM shop.promotion))::bigint
            AND id %% %(workers)s = %(worker)s ORDER BY id LIMIT 1)
RETURNING jsonb_build_array('promotion', id, jsonb_build_object('uses', uses))
