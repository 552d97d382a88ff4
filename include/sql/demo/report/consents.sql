-- title: Declarations of consent, by what they say
-- phase: contacts
-- about: What people declared for marketing. One declaration decides per person and channel, and the others stay in its evidence. What a yes is worth is said by the audience.

-- name: legacy
SELECT CASE WHEN s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') THEN 'says no'
            WHEN upper(s.granted) IN ('T', 'Y', '1') THEN 'says yes' ELSE 'unclear' END AS segment,
       count(*) AS consents
FROM consents s
GROUP BY 1;

-- name: shop
-- Consents of the new shop that a declaration decided, by what that one says.
SELECT CASE WHEN e->>'withdrawn' IS NOT NULL OR e->>'said' IN ('N', '0', 'F') THEN 'says no'
            WHEN e->>'said' IN ('T', 'Y', '1') THEN 'says yes' ELSE 'unclear' END AS segment,
       count(*) AS consents
FROM shop.consent s
CROSS JOIN LATERAL jsonb_array_elements(s.evidence) e
WHERE (e->>'consent')::bigint = s.legacy_consent_id
GROUP BY 1;

-- name: held
-- Declarations that are in quarantine, superseded by another, or of a deleted customer.
SELECT CASE WHEN s.withdrawn_at IS NOT NULL OR upper(s.granted) IN ('N', '0', 'F') THEN 'says no'
            WHEN upper(s.granted) IN ('T', 'Y', '1') THEN 'says yes' ELSE 'unclear' END AS segment,
       count(*) AS consents
FROM legacy.consents s
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.consent'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'shop.consent') h ON h.row_key = s.id::text
GROUP BY 1;
