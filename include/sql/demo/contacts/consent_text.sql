-- entity: shop.consent_text
-- key:    id
-- scope:  id
-- source: legacy.consent_texts(id), legacy.consent_texts
-- counts: legacy.consent_texts(id) as id
-- Every wording, once. Two texts of one version contradict each other: none of them counts until one is gone. What a text is
-- for and by which channels must be known, for a consent to it is a consent to that.
SELECT t.id,
       btrim(t.version) AS version,
       lower(nullif(btrim(t.language), '')) AS language,
       t.valid_from,
       t.valid_to,
       t.body,
       nullif(btrim(t.controller), '') AS controller,
       p.known::shop.consent_purpose[] AS purposes,
       c.known::shop.contact_channel[] AS channels,
       upper(t.double_opt_in) IN ('T', 'Y', '1') IS TRUE AS confirmation_needed,
       upper(t.usable) IN ('T', 'Y', '1') IS TRUE AS usable,
       CASE WHEN upper(t.usable) IN ('T', 'Y', '1') IS NOT TRUE
            THEN coalesce(nullif(btrim(t.why_not), ''), 'counsel has not decided') END AS why_not,
       t.keep_months,
       array_remove(ARRAY[
           CASE WHEN btrim(coalesce(t.version, '')) = '' THEN 'version_missing' END,
           CASE WHEN btrim(coalesce(t.body, '')) = '' THEN 'text_missing' END,
           CASE WHEN o.others THEN 'text_contradicts' END,
           CASE WHEN p.unknown > 0 OR p.known = '{}' THEN 'purpose_unknown' END,
           CASE WHEN c.unknown > 0 OR c.known = '{}' THEN 'channel_unknown' END,
           CASE WHEN t.valid_to < t.valid_from THEN 'validity_backwards' END,
           CASE WHEN t.keep_months <= 0 THEN 'period_not_positive' END
       ], NULL) AS problems
FROM affected a
JOIN legacy.consent_texts t ON t.id = a.key
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(w.word ORDER BY w.word) FILTER (WHERE w.word IN ('marketing', 'newsletter')), '{}') AS known,
           count(*) FILTER (WHERE w.word NOT IN ('marketing', 'newsletter')) AS unknown
    FROM (SELECT DISTINCT lower(btrim(x)) AS word FROM unnest(string_to_array(t.purposes, ',')) x) w
) p
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(w.word ORDER BY w.word) FILTER (WHERE w.word IN ('email', 'sms', 'phone', 'post')), '{}') AS known,
           count(*) FILTER (WHERE w.word NOT IN ('email', 'sms', 'phone', 'post')) AS unknown
    FROM (SELECT DISTINCT lower(btrim(x)) AS word FROM unnest(string_to_array(t.channels, ',')) x) w
) c
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS others FROM legacy.consent_texts n WHERE n.id <> t.id AND btrim(n.version) = btrim(t.version)
) o;

-- lineage: legacy.consent_texts
SELECT n.id FROM changed c JOIN legacy.consent_texts n ON btrim(n.version) = btrim(c.version);
