-- entity: public.consent_texts
-- key:    id
-- scope:  id
-- source: shop.consent_text(id)
-- The wordings, in the words of the old shop where these still mean the same.
SELECT t.id,
       CASE WHEN btrim(l.version) = t.version THEN l.version ELSE t.version END AS version,
       CASE WHEN lower(btrim(l.language)) = t.language THEN l.language ELSE t.language END AS language,
       t.valid_from,
       t.valid_to,
       t.body,
       CASE WHEN btrim(l.controller) = t.controller THEN l.controller ELSE left(t.controller, 255) END AS controller,
       CASE WHEN (SELECT array_agg(DISTINCT lower(btrim(x)) ORDER BY lower(btrim(x))) FROM unnest(string_to_array(l.purposes, ',')) x)
                 = (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(t.purposes::text[]) x)
            THEN l.purposes ELSE array_to_string(t.purposes::text[], ', ') END AS purposes,
       CASE WHEN (SELECT array_agg(DISTINCT lower(btrim(x)) ORDER BY lower(btrim(x))) FROM unnest(string_to_array(l.channels, ',')) x)
                 = (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(t.channels::text[]) x)
            THEN l.channels ELSE array_to_string(t.channels::text[], ', ') END AS channels,
       CASE WHEN l.id IS NOT NULL AND (upper(l.double_opt_in) IN ('T', 'Y', '1') IS TRUE) = t.confirmation_needed THEN l.double_opt_in
            WHEN t.confirmation_needed THEN 'T' ELSE 'N' END AS double_opt_in,
       CASE WHEN l.id IS NOT NULL AND (upper(l.usable) IN ('T', 'Y', '1') IS TRUE) = t.usable THEN l.usable
            WHEN t.usable THEN 'T' ELSE 'N' END AS usable,
       CASE WHEN t.why_not IS NULL OR t.why_not = coalesce(nullif(btrim(l.why_not), ''), 'counsel has not decided')
            THEN l.why_not ELSE left(t.why_not, 255) END AS why_not,
       t.keep_months,
       '{}'::text[] AS problems
FROM affected a
JOIN shop.consent_text t ON t.id = a.key
LEFT JOIN public.consent_texts l ON l.id = t.id;
