-- entity: public.addresses
-- key:    id
-- scope:  id
-- source: shop.customer_address(legacy_address_id)
-- The address book. What the libraries made of the old value is what the shop still holds: then the old value stays.
SELECT a.key AS id,
       d.legacy_customer_id AS customer_id,
       CASE WHEN (l.full_name IS NULL OR n.raw IS NOT NULL) AND n.value IS NOT DISTINCT FROM d.recipient
            THEN l.full_name ELSE left(d.recipient, 255) END AS full_name,
       CASE WHEN (l.company IS NULL OR m.raw IS NOT NULL) AND m.value IS NOT DISTINCT FROM d.company
            THEN l.company ELSE left(d.company, 255) END AS company,
       CASE WHEN (l.street IS NULL OR s.raw IS NOT NULL) AND s.value IS NOT DISTINCT FROM d.street
            THEN l.street ELSE left(d.street, 255) END AS street,
       CASE WHEN (l.city IS NULL OR t.raw IS NOT NULL) AND t.value IS NOT DISTINCT FROM d.city
            THEN l.city ELSE left(d.city, 128) END AS city,
       -- How postcode and phone are read depends on the country: all three stay, or none.
       CASE WHEN p.stays THEN l.country ELSE d.country_code END AS country,
       CASE WHEN p.stays THEN l.postcode ELSE left(d.postcode, 20) END AS postcode,
       CASE WHEN p.stays THEN l.phone ELSE d.phone END AS phone,
       CASE WHEN (upper(l.is_default) IN ('T', 'Y', '1') IS TRUE) = d.is_default AND l.id IS NOT NULL THEN l.is_default
            WHEN d.is_default THEN 'T' ELSE 'N' END AS is_default,
       CASE WHEN l.id IS NOT NULL AND upper(l.deleted) IN ('T', 'Y', '1') IS NOT TRUE THEN l.deleted ELSE 'N' END AS deleted,
       CASE WHEN l.id IS NOT NULL AND (d.created_at IS NULL OR l.created_at AT TIME ZONE 'Europe/Warsaw' = d.created_at)
            THEN l.created_at ELSE d.created_at AT TIME ZONE 'Europe/Warsaw' END AS created_at,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.customer_address d ON d.legacy_address_id = a.key
LEFT JOIN public.addresses l ON l.id = a.key
LEFT JOIN ferry.standardized n ON n.kind = 'text' AND n.raw = l.full_name
LEFT JOIN ferry.standardized m ON m.kind = 'text' AND m.raw = l.company
LEFT JOIN ferry.standardized s ON s.kind = 'text' AND s.raw = l.street
LEFT JOIN ferry.standardized t ON t.kind = 'text' AND t.raw = l.city
CROSS JOIN LATERAL (
    SELECT l.id IS NOT NULL
           AND (btrim(coalesce(l.country, '')) = '' OR k.raw IS NOT NULL)
           AND CASE WHEN btrim(coalesce(l.country, '')) = '' THEN 'PL' ELSE k.value END IS NOT DISTINCT FROM d.country_code
           AND (l.postcode IS NULL OR z.raw IS NOT NULL) AND z.value IS NOT DISTINCT FROM d.postcode
           AND (l.phone IS NULL OR f.raw IS NOT NULL) AND f.value IS NOT DISTINCT FROM d.phone AS stays
    FROM (VALUES (1)) one (x)
    LEFT JOIN ferry.standardized k ON k.kind = 'country' AND k.raw = l.country
    LEFT JOIN ferry.standardized z ON z.kind = 'postcode' AND z.raw = coalesce(l.country, '') || '|' || l.postcode
    LEFT JOIN ferry.standardized f ON f.kind = 'phone' AND f.raw = coalesce(l.country, '') || '|' || l.phone
) p;
