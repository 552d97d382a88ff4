-- entity: public.order_order
-- key:    id
-- scope:  id
-- source: shop.order(clean.legacy_id(metadata)), shop.customer, shop.order_address, shop.order_shipping
-- source: shop.order_shipping_method, shop.order_shipping_method_tax_line, shop.order_shipping_method_adjustment
-- source: shop.order_item, shop.order_line_item, shop.order_line_item_tax_line, shop.order_line_item_adjustment
-- source: shop.order_fulfillment, shop.fulfillment, ferry.setting
-- index:  shop.order(customer_id)
-- index:  shop.order(shipping_address_id)
-- index:  shop.order(billing_address_id)
-- index:  shop.order_item(order_id)
-- index:  shop.order_item(item_id)
-- index:  shop.order_line_item_tax_line(item_id)
-- index:  shop.order_line_item_adjustment(item_id)
-- index:  shop.order_fulfillment(order_id)
-- index:  shop.order_fulfillment(fulfillment_id)
-- index:  shop.order_shipping(order_id)
-- index:  shop.order_shipping(shipping_method_id)
-- index:  shop.order_shipping_method_tax_line(shipping_method_id)
-- index:  shop.order_shipping_method_adjustment(shipping_method_id)
-- after:  contacts/auth_user, orders/order_shippingaddress, orders/order_billingaddress
-- Orders. What an old order's customer and number were stays, for Medusa changes neither. A new one's number begins with M-, so that
-- Oscar, which counts on, never gives it out again.
-- Its totals are what its lines and delivery come to. Medusa's own total goes down with each refund, and is 0 once an order was paid
-- and cancelled; Oscar's stays what was ordered, and its payments say what went back.
-- Medusa's state of an order says nothing of parcels. What was sent from there, all of it, must not be sent again: it has the state
-- that route.toml names for that.
SELECT a.key AS id,
       coalesce(l.number, 'M-' || o.display_id) AS number,
       CASE WHEN lower(btrim(l.currency)) = o.currency_code THEN l.currency ELSE upper(o.currency_code) END AS currency,
       CASE WHEN t.stays THEN l.total_incl_tax ELSE t.total END AS total_incl_tax,
       CASE WHEN t.stays THEN l.total_excl_tax ELSE t.net END AS total_excl_tax,
       CASE WHEN m.gross = l.shipping_incl_tax THEN l.shipping_incl_tax ELSE m.gross END AS shipping_incl_tax,
       CASE WHEN m.gross = l.shipping_incl_tax THEN l.shipping_excl_tax ELSE m.net END AS shipping_excl_tax,
       coalesce(l.shipping_method, left(m.name, 128), '') AS shipping_method,
       coalesce(l.shipping_code, '') AS shipping_code,
       CASE WHEN o.status::text = 'pending' AND f.sent THEN s.sent
            WHEN clean.look_up(s.states, l.status) = o.status::text THEN l.status
            ELSE coalesce(clean.look_back(s.states, o.status::text), o.status::text) END AS status,
       CASE WHEN l.id IS NOT NULL THEN l.guest_email WHEN c.has_account THEN '' ELSE coalesce(o.email, '') END AS guest_email,
       coalesce(l.date_placed, o.created_at) AS date_placed,
       l.basket_id,
       clean.billing_id(ba.id, ba.metadata) AS billing_address_id,
       clean.shipping_id(sa.id, sa.metadata) AS shipping_address_id,
       l.site_id,
       CASE WHEN l.id IS NOT NULL THEN l.user_id WHEN c.has_account THEN clean.legacy_id(c.metadata) END AS user_id,
       l.shipping_tax_code,
       coalesce(l.analytics_tracked, false) AS analytics_tracked,
       '{}'::text[] AS problems
FROM affected a
JOIN shop."order" o ON clean.legacy_id(o.metadata) = a.key AND NOT o.is_draft_order
LEFT JOIN public.order_order l ON l.id = a.key
LEFT JOIN shop.customer c ON c.id = o.customer_id
LEFT JOIN shop.order_address sa ON sa.id = o.shipping_address_id
LEFT JOIN shop.order_address ba ON ba.id = o.billing_address_id
CROSS JOIN (
    SELECT (SELECT value FROM ferry.setting WHERE name = 'order_states') AS states,
           (SELECT value FROM ferry.setting WHERE name = 'sent_state') AS sent
) s
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM shop.order_fulfillment k JOIN shop.fulfillment p ON p.id = k.fulfillment_id
                   WHERE k.order_id = o.id AND clean.number_of(p.id) IS NULL AND p.shipped_at IS NOT NULL
                     AND p.canceled_at IS NULL AND p.deleted_at IS NULL)
           AND NOT EXISTS (SELECT FROM shop.order_item n
                           WHERE n.order_id = o.id AND n.version = o.version AND n.deleted_at IS NULL
                             AND n.shipped_quantity < n.quantity) AS sent
) f
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.gross), 0) AS gross, coalesce(sum(x.gross / (1 + x.rate / 100)), 0) AS net
    FROM (SELECT r.rate, n.quantity * coalesce(n.unit_price, i.unit_price) * CASE WHEN i.is_tax_inclusive THEN 1 ELSE 1 + r.rate / 100 END
                 - j.gross AS gross
          FROM shop.order_item n
          JOIN shop.order_line_item i ON i.id = n.item_id
          CROSS JOIN LATERAL (SELECT coalesce(sum(z.rate), 0) AS rate FROM shop.order_line_item_tax_line z
                              WHERE z.item_id = i.id AND z.deleted_at IS NULL) r
          CROSS JOIN LATERAL (
              SELECT coalesce(sum(z.amount * CASE WHEN z.is_tax_inclusive THEN 1 ELSE 1 + r.rate / 100 END), 0) AS gross
              FROM shop.order_line_item_adjustment z
              WHERE z.item_id = i.id AND z.version = o.version AND z.deleted_at IS NULL) j
          WHERE n.order_id = o.id AND n.version = o.version AND n.deleted_at IS NULL AND n.quantity > 0) x
) g
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.gross), 0) AS whole, coalesce(sum(x.gross / (1 + x.rate / 100)), 0) AS whole_net,
           coalesce(round(sum(x.gross), 2), 0) AS gross, coalesce(round(sum(x.gross / (1 + x.rate / 100)), 2), 0) AS net,
           string_agg(x.name, ', ' ORDER BY x.id) AS name
    FROM (SELECT n.id, n.name, r.rate,
                 CASE WHEN n.is_tax_inclusive THEN n.amount ELSE n.amount * (1 + r.rate / 100) END - j.amount * (1 + r.rate / 100) AS gross
          FROM shop.order_shipping p
          JOIN shop.order_shipping_method n ON n.id = p.shipping_method_id
          CROSS JOIN LATERAL (SELECT coalesce(sum(z.rate), 0) AS rate FROM shop.order_shipping_method_tax_line z
                              WHERE z.shipping_method_id = n.id AND z.deleted_at IS NULL) r
          CROSS JOIN LATERAL (SELECT coalesce(sum(z.amount), 0) AS amount FROM shop.order_shipping_method_adjustment z
                              WHERE z.shipping_method_id = n.id AND z.version = o.version AND z.deleted_at IS NULL) j
          WHERE p.order_id = o.id AND p.version = o.version AND p.deleted_at IS NULL) x
) m
CROSS JOIN LATERAL (
    SELECT w.total, w.net, l.id IS NOT NULL AND w.total = l.total_incl_tax AS stays
    FROM (SELECT round(g.gross + m.whole + d.difference, 2) AS total, round(g.net + m.whole_net + d.difference, 2) AS net
          FROM (SELECT coalesce((o.metadata->'legacy'->>'total_difference')::numeric, 0) AS difference) d) w
) t;

-- lineage: shop.customer
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.customer_id = c.id;

-- lineage: shop.order_address
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.shipping_address_id = c.id
UNION
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.billing_address_id = c.id;

-- lineage: shop.order_line_item
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop.order_item n ON n.item_id = c.id JOIN shop."order" o ON o.id = n.order_id;

-- lineage: shop.order_line_item_tax_line
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop.order_item n ON n.item_id = c.item_id JOIN shop."order" o ON o.id = n.order_id;

-- lineage: shop.order_line_item_adjustment
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop.order_item n ON n.item_id = c.item_id JOIN shop."order" o ON o.id = n.order_id;

-- lineage: shop.order_shipping
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.id = c.order_id;

-- lineage: shop.order_shipping_method
SELECT clean.legacy_id(o.metadata)
FROM changed c JOIN shop.order_shipping p ON p.shipping_method_id = c.id JOIN shop."order" o ON o.id = p.order_id;

-- lineage: shop.order_shipping_method_tax_line
SELECT clean.legacy_id(o.metadata)
FROM changed c JOIN shop.order_shipping p ON p.shipping_method_id = c.shipping_method_id JOIN shop."order" o ON o.id = p.order_id;

-- lineage: shop.order_shipping_method_adjustment
SELECT clean.legacy_id(o.metadata)
FROM changed c JOIN shop.order_shipping p ON p.shipping_method_id = c.shipping_method_id JOIN shop."order" o ON o.id = p.order_id;

-- lineage: shop.order_item
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.id = c.order_id;

-- lineage: shop.order_fulfillment
SELECT clean.legacy_id(o.metadata) FROM changed c JOIN shop."order" o ON o.id = c.order_id;

-- lineage: shop.fulfillment
SELECT clean.legacy_id(o.metadata)
FROM changed c JOIN shop.order_fulfillment k ON k.fulfillment_id = c.id JOIN shop."order" o ON o.id = k.order_id;
