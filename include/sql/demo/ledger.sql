-- What the stores hold of the rows that the writer's facts name, in the facts' words. %(ids)s is a list of keys.

-- name: legacy.customers
SELECT id, jsonb_build_object('email', email, 'phone', phone, 'deleted', deleted = 'T', 'blocked', active = 'N',
                              'newsletter', upper(newsletter) IN ('T', 'Y', '1'),
                              'frequency', CASE lower(btrim(news_frequency, ' .'))
                                  WHEN 'nigdy' THEN 'never' WHEN '0' THEN 'never' WHEN 'n' THEN 'never'
                                  WHEN 'm' THEN 'monthly' WHEN 'mies' THEN 'monthly' WHEN 'w' THEN 'weekly' WHEN 'tyg' THEN 'weekly'
                                  WHEN 'a' THEN 'all' WHEN 'codziennie' THEN 'all' ELSE lower(news_frequency) END)
FROM customers WHERE id = ANY(%(ids)s)

-- name: legacy.addresses
SELECT id, jsonb_build_object('street', street, 'city', city) FROM addresses WHERE id = ANY(%(ids)s)

-- name: legacy.consents
SELECT id, jsonb_build_object('state', CASE WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' ELSE 'granted' END)
FROM consents WHERE id = ANY(%(ids)s)

-- name: ended.consents
-- What one withdrawal ended has its moment, to the microsecond, whichever of the person's accounts declared it.
SELECT d.id, array_agg(o.id)
FROM consents d JOIN consents o ON o.withdrawn_at = d.withdrawn_at AND o.channel = d.channel AND o.id <> d.id
WHERE d.id = ANY(%(ids)s) GROUP BY d.id

-- name: legacy.orders
SELECT id, jsonb_build_object('total', round(total, 2)::text, 'status', CASE status_code
    WHEN 'NEW' THEN 'pending' WHEN 'PAID' THEN 'paid' WHEN 'SENT' THEN 'shipped' WHEN 'DONE' THEN 'delivered'
    WHEN 'CANC' THEN 'cancelled' END)
FROM orders WHERE id = ANY(%(ids)s)

-- name: legacy.order_items
SELECT id, jsonb_build_object('quantity', quantity) FROM order_items WHERE id = ANY(%(ids)s)

-- name: legacy.order_status_log
SELECT id, jsonb_build_object('status', CASE status_code
    WHEN 'NEW' THEN 'pending' WHEN 'PAID' THEN 'paid' WHEN 'SENT' THEN 'shipped' WHEN 'DONE' THEN 'delivered'
    WHEN 'CANC' THEN 'cancelled' END)
FROM order_status_log WHERE id = ANY(%(ids)s)

-- name: legacy.order_invoices
SELECT id, jsonb_build_object('number', number, 'total', round(total, 2)::text) FROM order_invoices WHERE id = ANY(%(ids)s)

-- name: legacy.loyalty_accounts
SELECT id, jsonb_build_object('points', points) FROM loyalty_accounts WHERE id = ANY(%(ids)s)

-- name: legacy.loyalty_log
SELECT id, jsonb_build_object('points', points) FROM loyalty_log WHERE id = ANY(%(ids)s)

-- name: legacy.loyalty_redemptions
SELECT id, jsonb_build_object('points', points) FROM loyalty_redemptions WHERE id = ANY(%(ids)s)

-- name: legacy.loyalty_rewards
SELECT id, jsonb_build_object('points', points, 'state', CASE WHEN taken_at IS NOT NULL THEN 'taken' ELSE 'open' END)
FROM loyalty_rewards WHERE id = ANY(%(ids)s)

-- name: legacy.promotions
SELECT id, jsonb_build_object('uses', used) FROM promotions WHERE id = ANY(%(ids)s)

-- name: carried.customers
SELECT legacy_customer_id, id FROM shop.customer WHERE legacy_customer_id = ANY(%(ids)s)

-- name: carried.addresses
SELECT legacy_address_id, id FROM shop.customer_address WHERE legacy_address_id = ANY(%(ids)s)

-- name: carried.consents
SELECT legacy_consent_id, id FROM shop.consent WHERE legacy_consent_id = ANY(%(ids)s)

-- name: carried.orders
SELECT id, id FROM shop.customer_order WHERE id = ANY(%(ids)s)

-- name: carried.order_items
SELECT id, id FROM shop.order_line WHERE id = ANY(%(ids)s)

-- name: carried.order_status_log
SELECT id, id FROM shop.order_event WHERE id = ANY(%(ids)s)

-- name: carried.order_invoices
SELECT id, id FROM shop.order_invoice WHERE id = ANY(%(ids)s)

-- name: carried.loyalty_accounts
SELECT id, id FROM shop.loyalty_account WHERE id = ANY(%(ids)s)

-- name: carried.loyalty_log
SELECT legacy_log_id, id FROM shop.loyalty_entry WHERE legacy_log_id = ANY(%(ids)s)

-- name: carried.loyalty_redemptions
SELECT id, id FROM shop.loyalty_redemption WHERE id = ANY(%(ids)s)

-- name: carried.loyalty_rewards
SELECT id, id FROM shop.loyalty_reward WHERE id = ANY(%(ids)s)

-- name: carried.promotions
SELECT id, id FROM shop.promotion WHERE id = ANY(%(ids)s)

-- name: back.customer
-- The old rows that a shop row is led back to, the one that decides first; of the others only the named columns follow.
SELECT m.customer_id, array_agg(m.legacy_customer_id ORDER BY m.legacy_customer_id <> c.legacy_customer_id)
FROM shop.customer_account m JOIN shop.customer c ON c.id = m.customer_id WHERE m.customer_id = ANY(%(ids)s) GROUP BY 1

-- name: back.customer_address
SELECT id, ARRAY[legacy_address_id] FROM shop.customer_address WHERE id = ANY(%(ids)s) AND legacy_address_id IS NOT NULL

-- name: back.consent
SELECT s.id, ARRAY[s.legacy_consent_id] || array_agg((e->>'consent')::bigint)
FROM shop.consent s CROSS JOIN LATERAL jsonb_array_elements(s.evidence) e
WHERE s.id = ANY(%(ids)s) AND s.legacy_consent_id IS NOT NULL GROUP BY s.id

-- name: back.newsletter
SELECT s.id, array_agg((e->>'account')::bigint)
FROM shop.consent s CROSS JOIN LATERAL jsonb_array_elements(s.evidence) e
WHERE s.id = ANY(%(ids)s) AND s.purpose = 'newsletter' GROUP BY s.id

-- name: back.loyalty_entry
SELECT id, ARRAY[legacy_log_id] FROM shop.loyalty_entry WHERE id = ANY(%(ids)s) AND legacy_log_id IS NOT NULL

-- name: accounted
SELECT row_key::bigint FROM ferry.quarantine WHERE entity = %(entity)s AND row_key = ANY(%(keys)s)
UNION
SELECT row_key::bigint FROM ferry.left_out WHERE entity = %(entity)s AND row_key = ANY(%(keys)s)

-- name: shop.customer
SELECT c.id, jsonb_build_object('email', c.email, 'phone', c.phone, 'blocked', c.status = 'blocked', 'frequency', w.frequency)
FROM shop.customer c
LEFT JOIN shop.communication_preference w ON w.customer_id = c.id AND w.channel = 'email'
WHERE c.id = ANY(%(ids)s)

-- name: shop.customer_address
SELECT id, jsonb_build_object('street', street, 'city', city) FROM shop.customer_address WHERE id = ANY(%(ids)s)

-- name: shop.consent
-- A yes that a refusal for its address overrules, or that was for another address, was not lost.
SELECT id, jsonb_build_object('state', state, 'overruled', (state, why) IN (
    ('withdrawn', 'refused_for_address'), ('withdrawn', 'opted_out'), ('unproven', 'address_changed')) IS TRUE)
FROM shop.consent WHERE id = ANY(%(ids)s)

-- name: shop.customer_order
SELECT id, jsonb_build_object('status', status, 'total', total::text) FROM shop.customer_order WHERE id = ANY(%(ids)s)

-- name: shop.order_line
SELECT id, jsonb_build_object('quantity', quantity) FROM shop.order_line WHERE id = ANY(%(ids)s)

-- name: shop.order_event
SELECT id, jsonb_build_object('status', status) FROM shop.order_event WHERE id = ANY(%(ids)s)

-- name: shop.order_invoice
SELECT id, jsonb_build_object('number', number, 'total', total::text) FROM shop.order_invoice WHERE id = ANY(%(ids)s)

-- name: shop.loyalty_account
SELECT id, jsonb_build_object('points', balance) FROM shop.loyalty_account WHERE id = ANY(%(ids)s)

-- name: shop.loyalty_entry
SELECT id, jsonb_build_object('points', points) FROM shop.loyalty_entry WHERE id = ANY(%(ids)s)

-- name: shop.loyalty_redemption
SELECT id, jsonb_build_object('points', points) FROM shop.loyalty_redemption WHERE id = ANY(%(ids)s)

-- name: shop.loyalty_reward
SELECT id, jsonb_build_object('points', points, 'state', state) FROM shop.loyalty_reward WHERE id = ANY(%(ids)s)

-- name: shop.promotion
SELECT id, jsonb_build_object('uses', uses) FROM shop.promotion WHERE id = ANY(%(ids)s)

-- name: erased
-- What requests have erased: the ledger of erasures is the same in both stores.
SELECT relation, key::bigint FROM shopferry.erased WHERE key ~ '^[0-9]+$'
