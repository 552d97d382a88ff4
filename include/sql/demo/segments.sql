-- phase: insight
-- How many customers each segment has, and what their orders of the last twelve months were worth, by currency; currencies are
-- never added. Runs in the new shop. One line for each scheme and segment.
WITH worth AS (
    SELECT g.scheme, g.segment, v.key AS currency, sum(v.value::numeric) AS total
    FROM shop.customer_segment g
    JOIN shop.customer_profile p ON p.customer_id = g.customer_id
    CROSS JOIN LATERAL jsonb_each_text(p.value_in_year) v
    GROUP BY g.scheme, g.segment, v.key
), value AS (
    SELECT scheme, segment, jsonb_object_agg(currency, total) AS by_currency FROM worth GROUP BY scheme, segment
)
SELECT g.scheme, g.segment, count(*) AS customers, coalesce(v.by_currency, '{}') AS value
FROM shop.customer_segment g
LEFT JOIN value v ON v.scheme = g.scheme AND v.segment = g.segment
GROUP BY g.scheme, g.segment, v.by_currency
ORDER BY g.scheme, count(*) DESC, g.segment;
