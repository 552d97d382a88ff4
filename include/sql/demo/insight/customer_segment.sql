-- entity: shop.customer_segment
-- key:    customer_id, scheme
-- scope:  customer_id
-- source: identity.customer(shop_key), shop.customer_profile(customer_id), ferry.clock, ferry.setting
-- after:  insight/customer_profile
-- In which segment each customer is, by five schemes: one segment of each. Lines between scores are fixed numbers that somebody
-- has signed (route.toml): no score changes because somebody else has bought. `until` is the day on which it changes if nothing
-- else happens, `since` the last day on which something changed that it is judged by.
WITH today AS (
    SELECT c.as_of,
           (SELECT array_agg(n::int ORDER BY n::int) FROM ferry.setting CROSS JOIN LATERAL string_to_table(value, ' ') n
            WHERE name = 'segment_recency_days') AS recency,
           (SELECT array_agg(n::int ORDER BY n::int) FROM ferry.setting CROSS JOIN LATERAL string_to_table(value, ' ') n
            WHERE name = 'segment_orders') AS orders
    FROM ferry.clock c
), line AS MATERIALIZED (  -- 'PLN 200 500 1000 2500, EUR 50 120 250 600'
    SELECT split_part(btrim(x.part), ' ', 1) AS currency, array_agg(n::numeric ORDER BY n::numeric) AS value
    FROM ferry.setting s
    CROSS JOIN LATERAL regexp_split_to_table(s.value, ',') WITH ORDINALITY x (part, no)
    CROSS JOIN LATERAL unnest((string_to_array(btrim(x.part), ' '))[2:]) n
    WHERE s.name = 'segment_value'
    GROUP BY x.no, x.part
), person AS (
    SELECT p.customer_id, p.orders, p.orders_in_year, p.value_by_currency, p.value_in_year, p.tier, p.reachable_channels,
           (p.first_order_at AT TIME ZONE 'Europe/Warsaw')::date AS first_on,
           (p.last_order_at AT TIME ZONE 'Europe/Warsaw')::date AS last_on
    FROM affected a JOIN shop.customer_profile p ON p.customer_id = a.key
), scored AS MATERIALIZED (  -- `crossed` is how many lines of recency the last order is behind
    SELECT p.*, t.as_of, t.recency, w.crossed,
           1 + coalesce(cardinality(t.recency) - w.crossed, 0) AS r,
           1 + coalesce(width_bucket(p.orders, t.orders), 0) AS f,
           (SELECT coalesce(max(1 + width_bucket(v.value::numeric, l.value)), 1)
            FROM jsonb_each_text(p.value_by_currency) v JOIN line l ON l.currency = v.key) AS m,
           (SELECT coalesce(max(1 + width_bucket(v.value::numeric, l.value)), 1)
            FROM jsonb_each_text(p.value_in_year) v JOIN line l ON l.currency = v.key) AS in_year
    FROM person p CROSS JOIN today t
    CROSS JOIN LATERAL (SELECT width_bucket(t.as_of - p.last_on, t.recency) AS crossed) w
)
SELECT s.customer_id, x.scheme, x.segment, x.since, x.until, '{}'::text[] AS problems
FROM scored s
CROSS JOIN LATERAL (
    SELECT 'lifecycle' AS scheme,
           CASE WHEN s.orders = 0 THEN 'never_bought' WHEN s.first_on + 60 > s.as_of THEN 'new'
                WHEN s.last_on + 180 > s.as_of THEN 'active' WHEN s.last_on + 365 > s.as_of THEN 'cooling'
                WHEN s.orders = 1 THEN 'one_time' ELSE 'lost' END AS segment,
           CASE WHEN s.orders = 0 THEN NULL WHEN s.first_on + 60 > s.as_of THEN s.first_on
                WHEN s.last_on + 180 > s.as_of THEN GREATEST(s.first_on + 60, s.last_on)
                WHEN s.last_on + 365 > s.as_of THEN s.last_on + 180 ELSE s.last_on + 365 END AS since,
           CASE WHEN s.orders = 0 THEN NULL WHEN s.first_on + 60 > s.as_of THEN s.first_on + 60
                WHEN s.last_on + 180 > s.as_of THEN s.last_on + 180
                WHEN s.last_on + 365 > s.as_of THEN s.last_on + 365 END AS until
    UNION ALL
    SELECT 'rfm',
           CASE WHEN s.orders = 0 THEN 'no_orders' ELSE (ARRAY[
               ARRAY['lost', 'lost', 'hibernating', 'at_risk', 'cannot_lose'],
               ARRAY['hibernating', 'hibernating', 'at_risk', 'at_risk', 'cannot_lose'],
               ARRAY['about_to_sleep', 'need_attention', 'need_attention', 'loyal', 'loyal'],
               ARRAY['promising', 'potentially_loyal', 'loyal', 'loyal', 'champions'],
               ARRAY['recent', 'potentially_loyal', 'potentially_loyal', 'champions', 'champions']
           ])[s.r][(s.f + s.m + 1) / 2] END,
           CASE WHEN s.orders > 0 THEN s.last_on + coalesce(s.recency[s.crossed], 0) END,
           CASE WHEN s.orders > 0 THEN s.last_on + s.recency[s.crossed + 1] END
    UNION ALL
    SELECT 'tier', coalesce(s.tier::text, 'no_card'), NULL, NULL
    UNION ALL
    SELECT 'reachability',
           CASE WHEN 'email' = ANY (s.reachable_channels) THEN CASE WHEN cardinality(s.reachable_channels) > 1 THEN 'email_and_more' ELSE 'email' END
                WHEN cardinality(s.reachable_channels) > 0 THEN 'without_email' ELSE 'nowhere' END,
           NULL, NULL
    UNION ALL
    SELECT 'value',
           CASE WHEN s.orders_in_year = 0 THEN 'nothing' ELSE (ARRAY['very_low', 'low', 'middle', 'high', 'very_high'])[s.in_year] END,
           NULL, NULL
) x;

-- lineage: ferry.clock
SELECT p.customer_id FROM changed c JOIN shop.customer_profile p ON p.next_change <= c.as_of;
