-- entity: public.fulfillment_label
-- key:    id
-- scope:  id
-- source: legacy.order_shippingevent(clean.make_id('fulla', id)), public.fulfillment(clean.make_id('fulla', clean.number_of(id)))
-- Oscar has no column for the number of a parcel: it belongs into the event's notes, where one word is taken for it.
SELECT a.key AS id,
       f.id AS fulfillment_id,
       btrim(e.notes) AS tracking_number,
       '' AS tracking_url,
       '' AS label_url,
       f.created_at,
       f.created_at AS updated_at,
       '{}'::text[] AS problems
FROM affected a
JOIN legacy.order_shippingevent e ON e.id = clean.number_of(a.key)
JOIN public.fulfillment f ON f.id = clean.make_id('ful', e.id)
WHERE btrim(e.notes) ~ '^[A-Za-z0-9-]*[0-9][A-Za-z0-9-]*$';
