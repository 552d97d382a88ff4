-- entity: public.consents
-- key:    id
-- scope:  customer_id
-- source: shop.customer_account(legacy_customer_id), shop.consent
-- index:  shop.customer_account(customer_id)
-- index:  shop.consent(customer_id)
-- All declarations of an account: those that stand in a consent's evidence, and the old ones that never came to the shop.
WITH declared AS (
    SELECT a.key, (e->>'consent')::bigint AS id, s.channel::text AS channel, e->>'said' AS said,
           (e->>'at')::timestamp AS at, e->>'ip' AS ip, e->>'wording' AS wording, (e->>'withdrawn')::timestamp AS withdrawn,
           (e->>'confirmed')::timestamp AS confirmed
    FROM affected a
    JOIN shop.customer_account m ON m.legacy_customer_id = a.key
    JOIN shop.consent s ON s.customer_id = m.customer_id AND s.purpose = 'marketing'
    CROSS JOIN LATERAL jsonb_array_elements(s.evidence) e
    WHERE (e->>'account')::bigint = a.key
)
SELECT d.id,
       d.key AS customer_id,
       CASE WHEN l.id IS NOT NULL THEN l.channel ELSE d.channel END AS channel,
       CASE WHEN upper(l.granted) = d.said OR (l.id IS NOT NULL AND d.said IS NULL) THEN l.granted ELSE d.said END AS granted,
       d.at AS granted_at,
       d.ip AS ip,
       d.wording AS wording,
       d.withdrawn AS withdrawn_at,
       d.confirmed AS confirmed_at,
       '{}'::text[] AS problems
FROM declared d
LEFT JOIN public.consents l ON l.id = d.id
UNION ALL
SELECT l.id, l.customer_id, l.channel, l.granted, l.granted_at, l.ip, l.wording, l.withdrawn_at, l.confirmed_at, '{}'
FROM affected a
JOIN shop.customer_account m ON m.legacy_customer_id = a.key
JOIN public.consents l ON l.customer_id = a.key
WHERE NOT EXISTS (SELECT FROM declared d WHERE d.id = l.id);

-- lineage: shop.consent
SELECT m.legacy_customer_id FROM changed c JOIN shop.customer_account m ON m.customer_id = c.customer_id;
