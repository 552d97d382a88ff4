-- entity: public.order
-- key:    id
-- scope:  id
-- source: identity.order(shop_id), legacy.order_order, legacy.auth_user, identity.customer, identity.guest, public.customer, clean.bill
-- source: public.order_address, legacy.order_orderstatuschange, legacy.order_ordernote, legacy.order_shippingevent
-- source: legacy.order_shippingeventtype, ferry.setting
-- counts: legacy.order_order(id) as (metadata->'legacy'->>'id')::integer
-- index:  legacy.order_order(user_id)
-- index:  legacy.order_orderstatuschange(order_id)
-- index:  legacy.order_ordernote(order_id)
-- index:  legacy.order_shippingevent(order_id)
-- index:  legacy.order_shippingevent(event_type_id)
-- standardize: email legacy.auth_user (email)
-- standardize: email legacy.order_order (guest_email)
-- Orders as they were. An order whose account is deleted, or emptied, is nobody's: it stays, without customer and e-mail. An order of
-- staff stays without customer too, for staff are no customers here.
-- A number that begins with M- was Medusa's own before a rollback.
-- Medusa has no place for the history of states and the notes: they stand in metadata, and so does what Oscar's total has beyond
-- what Medusa makes of the lines.
SELECT i.shop_id AS id,
       n.display_id,
       o.number AS custom_display_id,
       clean.look_up(s.regions, o.currency) AS region_id,
       s.sales_channel AS sales_channel_id,
       c.id AS customer_id,
       CASE WHEN o.user_id IS NOT NULL THEN ue.value ELSE ge.value END AS email,
       lower(btrim(o.currency)) AS currency_code,
       t.state AS status,
       1 AS version,
       false AS is_draft_order,
       true AS no_notification,
       sa.id AS shipping_address_id,
       ba.id AS billing_address_id,
       jsonb_build_object('legacy', jsonb_strip_nulls(jsonb_build_object(
           'id', o.id,
           'number', o.number,
           'status', o.status,
           'total_difference', CASE WHEN b.difference <> 0 THEN b.difference::text END,
           'history', h.history,
           'staff_notes', w.notes,
           'shipping_events', e.events,
           'notes', (SELECT jsonb_agg(x) FROM unnest(ARRAY[
               CASE WHEN n.display_id IS NULL THEN 'number_not_integer' END,
               CASE WHEN ci.cluster LIKE '#% staff' THEN 'of_staff' END,
               CASE WHEN o.user_id IS NULL AND btrim(o.guest_email) = '' OR ci.cluster LIKE '#% deleted' THEN 'of_nobody'
                    WHEN o.user_id IS NULL AND ge.value IS NULL THEN 'email_invalid' END]) x WHERE x IS NOT NULL)))) AS metadata,
       o.date_placed AS created_at,
       greatest(o.date_placed, h.last) AS updated_at,
       CASE WHEN t.state = 'canceled' THEN greatest(o.date_placed, h.last) END AS canceled_at,
       array_remove(ARRAY[
           CASE WHEN o.user_id IS NOT NULL AND c.id IS NULL AND ci.cluster LIKE ANY (ARRAY['#% staff', '#% deleted']) IS NOT TRUE
                THEN 'customer_quarantined' END,
           CASE WHEN t.state IS NULL THEN 'status_unknown' END,
           CASE WHEN clean.look_up(s.regions, o.currency) IS NULL THEN 'currency_without_region' END
       ], NULL) AS problems
FROM affected a
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN legacy.order_order o ON o.id = i.legacy_key
JOIN clean.bill b ON b.id = o.id
CROSS JOIN (
    SELECT (SELECT value FROM ferry.setting WHERE name = 'regions') AS regions,
           (SELECT value FROM ferry.setting WHERE name = 'sales_channel') AS sales_channel,
           (SELECT value FROM ferry.setting WHERE name = 'order_states') AS states,
           (SELECT value FROM ferry.setting WHERE name = 'order_number') AS numbered_by
) s
CROSS JOIN LATERAL (SELECT clean.look_up(s.states, o.status) AS state) t
CROSS JOIN LATERAL (
    SELECT CASE WHEN s.numbered_by = 'id' THEN o.id
                WHEN o.number ~ '^(M-)?[1-9][0-9]{0,8}$' THEN replace(o.number, 'M-', '')::integer END AS display_id
) n
LEFT JOIN legacy.auth_user u ON u.id = o.user_id
LEFT JOIN ferry.standardized ue ON ue.kind = 'email' AND ue.raw = u.email
LEFT JOIN ferry.standardized ge ON ge.kind = 'email' AND ge.raw = o.guest_email
LEFT JOIN ferry.identity ci ON ci.entity = 'customer' AND ci.legacy_key = o.user_id
LEFT JOIN ferry.identity gi ON gi.entity = 'guest' AND gi.legacy_key = o.id
LEFT JOIN public.customer c ON c.id = CASE WHEN o.user_id IS NULL THEN gi.shop_id ELSE ci.shop_id END
LEFT JOIN public.order_address sa ON sa.id = clean.make_id('ordaddr', o.shipping_address_id)
LEFT JOIN public.order_address ba ON ba.id = clean.make_id('ordaddr', clean.second(o.billing_address_id))
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('from', x.old_status, 'to', x.new_status, 'at', clean.moment(x.date_created))
                     ORDER BY x.date_created, x.id) AS history,
           max(x.date_created) AS last
    FROM legacy.order_orderstatuschange x
    WHERE x.order_id = o.id
) h
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('kind', x.note_type, 'text', x.message, 'at', clean.moment(x.date_created))
                     ORDER BY x.date_created, x.id) AS notes
    FROM legacy.order_ordernote x
    WHERE x.order_id = o.id
) w
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('event', k.name, 'at', clean.moment(x.date_created)) ORDER BY x.date_created, x.id) AS events
    FROM legacy.order_shippingevent x
    JOIN legacy.order_shippingeventtype k ON k.id = x.event_type_id
    WHERE x.order_id = o.id
) e;

-- lineage: legacy.order_order
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.id;

-- lineage: clean.bill
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.id;

-- lineage: legacy.auth_user
SELECT i.shop_id
FROM changed c
JOIN legacy.order_order o ON o.user_id = c.id
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id;

-- lineage: identity.customer
SELECT i.shop_id
FROM changed c
JOIN legacy.order_order o ON o.user_id = c.legacy_key
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id;

-- lineage: identity.guest
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.legacy_key;

-- lineage: public.customer
SELECT i.shop_id
FROM changed c
JOIN ferry.identity p ON p.entity = 'customer' AND p.shop_id = c.id
JOIN legacy.order_order o ON o.user_id = p.legacy_key
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id
UNION
SELECT i.shop_id
FROM changed c
JOIN ferry.identity g ON g.entity = 'guest' AND g.shop_id = c.id
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = g.legacy_key;

-- lineage: public.order_address
SELECT i.shop_id
FROM changed c
JOIN legacy.order_order o ON o.shipping_address_id = clean.number_of(c.id)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id
UNION
SELECT i.shop_id
FROM changed c
JOIN legacy.order_order o ON o.billing_address_id = clean.number_of(c.id) - clean.second(0)
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = o.id;

-- lineage: legacy.order_orderstatuschange
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: legacy.order_ordernote
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: legacy.order_shippingevent
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.order_id;

-- lineage: legacy.order_shippingeventtype
SELECT i.shop_id
FROM changed c
JOIN legacy.order_shippingevent e ON e.event_type_id = c.id
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = e.order_id;
