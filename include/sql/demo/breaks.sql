-- phase: insight
-- Where the customers of now would be cut into five parts of one size: a proposal for the lines between segments, to be looked at,
-- rounded and signed by somebody. Runs in the new shop. Yields each setting of route.toml and the value proposed for it.
WITH bought AS (
    SELECT (SELECT as_of FROM ferry.clock) - (p.last_order_at AT TIME ZONE 'Europe/Warsaw')::date AS days, p.orders, p.value_by_currency
    FROM shop.customer_profile p
    WHERE p.orders > 0
), fifth AS (
    SELECT percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY days) AS days,
           percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY orders) AS orders
    FROM bought
), worth AS (
    SELECT v.key AS currency, count(*) AS people,
           percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY v.value::numeric) AS value
    FROM bought b CROSS JOIN LATERAL jsonb_each_text(b.value_by_currency) v
    GROUP BY v.key
    HAVING count(*) >= 20
)
SELECT 'segment_recency_days' AS setting, array_to_string(days, ' ') AS value FROM fifth WHERE days IS NOT NULL
UNION ALL
SELECT 'segment_orders', array_to_string(orders, ' ') FROM fifth WHERE orders IS NOT NULL
UNION ALL
SELECT 'segment_value', string_agg(currency || ' ' || array_to_string(value, ' '), ', ' ORDER BY people DESC, currency)
FROM worth
HAVING count(*) > 0;
