-- entity: shop.customer_profile
-- key:    customer_id
-- scope:  customer_id
-- source: identity.customer(shop_key), shop.customer(id), shop.customer_order(customer_id), shop.payment, shop.delivery
-- source: shop.consent(customer_id), shop.communication_preference(customer_id), shop.customer_address(customer_id)
-- source: shop.loyalty_account(customer_id), shop.loyalty_entry, shop.loyalty_reward(customer_id)
-- source: ferry.clock, ferry.setting
-- What is known of a customer, counted together: facts, no forecast. It reads the new shop alone, and the day that the clock
-- shows. What depends on the day changes on a day that can be told beforehand; the first of them is next_change, so that a tick
-- of the clock touches only those who cross a line. Orders that were cancelled, returned or refunded are worth nothing. Values
-- of several currencies are never added. An order counts from the day on which it was placed, in Warsaw.
WITH today AS (
    SELECT c.as_of,
           (SELECT array_agg(n::int ORDER BY n::int) FROM ferry.setting CROSS JOIN LATERAL string_to_table(value, ' ') n
            WHERE name = 'segment_recency_days') AS recency,
           (SELECT value::int FROM ferry.setting WHERE name = 'points_expire_after_months') AS expire_months
    FROM ferry.clock c
), person AS (
    SELECT c.id, c.status, c.email, c.phone, c.last_seen_at
    FROM affected a JOIN shop.customer c ON c.id = a.key
), placed AS (
    SELECT p.id, o.id AS order_id, o.placed_at, o.currency, o.total, o.status,
           (o.placed_at AT TIME ZONE 'Europe/Warsaw')::date AS placed_on,
           o.status NOT IN ('cancelled', 'returned', 'refunded') AS counts
    FROM person p JOIN shop.customer_order o ON o.customer_id = p.id
), ordered AS (
    SELECT o.id,
           min(o.placed_at) FILTER (WHERE o.counts) AS first_order_at,
           max(o.placed_at) FILTER (WHERE o.counts) AS last_order_at,
           min(o.placed_on) FILTER (WHERE o.counts) AS first_on,
           max(o.placed_on) FILTER (WHERE o.counts) AS last_on,
           count(*) FILTER (WHERE o.counts) AS orders,
           count(*) FILTER (WHERE o.status = 'returned') AS returned_orders,
           count(*) FILTER (WHERE o.counts AND o.year_end > t.as_of) AS orders_in_year,
           min(o.year_end) FILTER (WHERE o.counts AND o.year_end > t.as_of) AS next_year_end
    FROM (SELECT *, (placed_on + interval '12 months')::date AS year_end FROM placed) o
    CROSS JOIN today t
    WHERE o.placed_on <= t.as_of
    GROUP BY o.id
), coming AS (  -- old shops hold orders with a date to come
    SELECT o.id, min(o.placed_on) AS next_order_on FROM placed o CROSS JOIN today t WHERE o.placed_on > t.as_of GROUP BY o.id
), worth AS (
    SELECT w.id,
           jsonb_object_agg(w.currency, w.total) AS value_by_currency,
           jsonb_object_agg(w.currency, w.in_year) FILTER (WHERE w.in_year IS NOT NULL) AS value_in_year
    FROM (SELECT o.id, o.currency, sum(o.total) AS total,
                 sum(o.total) FILTER (WHERE (o.placed_on + interval '12 months')::date > t.as_of) AS in_year
          FROM placed o CROSS JOIN today t
          WHERE o.counts AND o.placed_on <= t.as_of
          GROUP BY o.id, o.currency) w
    GROUP BY w.id
), paid AS (
    SELECT DISTINCT ON (x.id) x.id, x.method
    FROM (SELECT o.id, p.method, count(*) AS times, max(o.placed_at) AS last_at
          FROM placed o CROSS JOIN today t JOIN shop.payment p ON p.order_id = o.order_id
          WHERE o.counts AND o.placed_on <= t.as_of
          GROUP BY o.id, p.method) x
    ORDER BY x.id, x.times DESC, x.last_at DESC, x.method
), delivered AS (
    SELECT DISTINCT ON (x.id) x.id, x.method
    FROM (SELECT o.id, d.method, count(*) AS times, max(o.placed_at) AS last_at
          FROM placed o CROSS JOIN today t JOIN shop.delivery d ON d.order_id = o.order_id
          WHERE o.counts AND o.placed_on <= t.as_of
          GROUP BY o.id, d.method) x
    ORDER BY x.id, x.times DESC, x.last_at DESC, x.method
), card AS (
    SELECT l.customer_id AS id, l.tier, l.balance, e.last_at,
           ((coalesce(e.last_at, l.opened_at) AT TIME ZONE 'Europe/Warsaw')::date
               + make_interval(months => t.expire_months))::date AS expire_on
    FROM person p
    JOIN shop.loyalty_account l ON l.customer_id = p.id
    CROSS JOIN today t
    LEFT JOIN LATERAL (
        SELECT max(happened_at) FILTER (WHERE kind IN ('earned', 'spent')) AS last_at FROM shop.loyalty_entry WHERE account_id = l.id
    ) e ON true
), cards AS (
    SELECT c.id, max(c.tier) AS tier, sum(c.balance) AS points, max(c.last_at) AS last_at,
           coalesce(sum(c.balance) FILTER (WHERE c.expire_on - 60 <= t.as_of), 0) AS points_expiring,
           min(c.expire_on) FILTER (WHERE c.balance > 0) AS points_expire_on,
           min(c.expire_on - 60) FILTER (WHERE c.balance > 0 AND c.expire_on - 60 > t.as_of) AS next_expiring
    FROM card c CROSS JOIN today t
    GROUP BY c.id
), rewarded AS (  -- the last day of each counts still
    SELECT w.customer_id AS id, count(*) AS open, min(w.valid_until + 1) AS next_end
    FROM person p JOIN shop.loyalty_reward w ON w.customer_id = p.id CROSS JOIN today t
    WHERE w.state = 'open' AND (w.valid_until >= t.as_of) IS NOT FALSE
    GROUP BY w.customer_id
), allowed AS (
    SELECT s.customer_id AS id, s.channel, (s.expires_at AT TIME ZONE 'Europe/Warsaw')::date AS ends_on
    FROM person p JOIN shop.consent s ON s.customer_id = p.id
    WHERE s.purpose = 'marketing' AND s.state = 'granted' AND p.status = 'active'
      AND NOT EXISTS (SELECT FROM shop.communication_preference w
                      WHERE w.customer_id = s.customer_id AND w.channel = s.channel AND NOT w.wanted)
      AND CASE s.channel WHEN 'email' THEN p.email IS NOT NULL WHEN 'post' THEN EXISTS (
              SELECT FROM shop.customer_address x WHERE x.customer_id = p.id AND x.street IS NOT NULL AND x.city IS NOT NULL)
          ELSE p.phone IS NOT NULL END
), reached AS (
    SELECT s.id, array_agg(s.channel ORDER BY s.channel) AS channels, min(s.ends_on) AS next_end
    FROM allowed s CROSS JOIN today t
    WHERE (s.ends_on > t.as_of) IS NOT FALSE
    GROUP BY s.id
), declared AS (
    SELECT s.customer_id AS id, max(GREATEST(s.granted_at, s.confirmed_at, s.withdrawn_at)) AS last_at
    FROM person p JOIN shop.consent s ON s.customer_id = p.id
    GROUP BY s.customer_id
)
SELECT p.id AS customer_id,
       o.first_order_at,
       o.last_order_at,
       coalesce(o.orders, 0)::integer AS orders,
       coalesce(o.orders_in_year, 0)::integer AS orders_in_year,
       coalesce(o.returned_orders, 0)::integer AS returned_orders,
       coalesce(w.value_by_currency, '{}') AS value_by_currency,
       coalesce(w.value_in_year, '{}') AS value_in_year,
       d.method AS delivery_method,
       m.method AS payment_method,
       k.tier,
       coalesce(k.points, 0)::integer AS points,
       coalesce(k.points_expiring, 0)::integer AS points_expiring,
       k.points_expire_on,
       coalesce(g.open, 0)::integer AS rewards_open,
       coalesce(r.channels, '{}') AS reachable_channels,
       GREATEST(p.last_seen_at, o.last_order_at, k.last_at, e.last_at) AS last_sign_of_life,
       LEAST(o.next_year_end, q.next_order_on, k.next_expiring, g.next_end, r.next_end,
             CASE WHEN o.first_on + 60 > t.as_of THEN o.first_on + 60 END,
             CASE WHEN o.last_on + 180 > t.as_of THEN o.last_on + 180 END,
             CASE WHEN o.last_on + 365 > t.as_of THEN o.last_on + 365 END,
             o.last_on + t.recency[1 + width_bucket(t.as_of - o.last_on, t.recency)]) AS next_change,
       '{}'::text[] AS problems
FROM person p
CROSS JOIN today t
LEFT JOIN ordered o ON o.id = p.id
LEFT JOIN coming q ON q.id = p.id
LEFT JOIN worth w ON w.id = p.id
LEFT JOIN delivered d ON d.id = p.id
LEFT JOIN paid m ON m.id = p.id
LEFT JOIN cards k ON k.id = p.id
LEFT JOIN rewarded g ON g.id = p.id
LEFT JOIN reached r ON r.id = p.id
LEFT JOIN declared e ON e.id = p.id;

-- lineage: shop.payment
SELECT o.customer_id FROM changed c JOIN shop.customer_order o ON o.id = c.order_id;

-- lineage: shop.delivery
SELECT o.customer_id FROM changed c JOIN shop.customer_order o ON o.id = c.order_id;

-- lineage: shop.loyalty_entry
SELECT l.customer_id FROM changed c JOIN shop.loyalty_account l ON l.id = c.account_id;

-- lineage: ferry.clock
SELECT p.customer_id FROM changed c JOIN shop.customer_profile p ON p.next_change <= c.as_of;
