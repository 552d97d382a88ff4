-- entity: public.fulfillment_label
-- key:    id
-- scope:  fulfillment_id
-- source: legacy.order_shippingevent(clean.make_id('ful', id)), public.fulfillment(id)
-- Oscar has no column for the number of a parcel: it belongs into the event's notes, where one word is taken for it.
SELECT clean.make_id('fulla', e.id) AS id,
       f.id AS fulfillment_id,
       btrim(e.notes) AS tracking_number,
       '' AS tracking_url,
       '' AS label_url,
       f.created_at,
       f.created_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN public.fulfillment f ON f.id = a.key
JOIN legacy.order_shippingevent e ON e.id = clean.number_of(a.key)
WHERE btrim(e.notes) ~ '^[A-Za-z0-9-]*[0-9][A-Za-z0-9-]*$';
