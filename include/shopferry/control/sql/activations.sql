-- name: members
-- Whom the recipient has, had, or may have.
SELECT customer_id, mark, row_hash, state FROM ferry.activation_member
WHERE route = %(route)s AND activation = %(activation)s ORDER BY customer_id, mark;

-- name: begin
INSERT INTO ferry.activation_run (route, activation, destination, recipient, fields, who, approved_by, gained, changed, lost, suppressed, withheld)
VALUES (%(route)s, %(activation)s, %(destination)s, %(recipient)s, %(fields)s, %(who)s, %(approved_by)s, %(gained)s, %(changed)s, %(lost)s,
        %(suppressed)s, %(withheld)s)
RETURNING id;

-- name: announce
-- Members that are about to be handed over: until that is booked nobody knows whether they were.
INSERT INTO ferry.activation_member AS m (route, activation, customer_id, mark, row_hash, state, run)
SELECT %(route)s, %(activation)s, g.customer_id, g.mark, g.row_hash, 'failed', %(run)s
FROM unnest(%(customers)s::text[], %(marks)s::text[], %(hashes)s::text[]) AS g (customer_id, mark, row_hash)
ON CONFLICT (route, activation, customer_id, mark) DO UPDATE
SET row_hash = excluded.row_hash, state = 'failed', run = excluded.run, sent_at = clock_timestamp();

-- name: hand_over
-- All that the run has announced is with the recipient.
UPDATE ferry.activation_member SET state = 'in', sent_at = clock_timestamp() WHERE run = %(run)s AND state = 'failed';

-- name: answered
-- What the recipient has answered of these members of the run: it has them, or does not take them.
UPDATE ferry.activation_member m SET state = %(state)s, sent_at = clock_timestamp()
FROM unnest(%(customers)s::text[], %(marks)s::text[]) AS g (customer_id, mark)
WHERE m.run = %(run)s AND m.route = %(route)s AND m.activation = %(activation)s AND m.customer_id = g.customer_id
  AND m.mark = g.mark;

-- name: let_go
-- The recipient was told that these must go.
UPDATE ferry.activation_member m SET state = 'out', sent_at = clock_timestamp(), run = %(run)s
FROM unnest(%(customers)s::text[], %(marks)s::text[]) AS g (customer_id, mark)
WHERE m.route = %(route)s AND m.activation = %(activation)s AND m.customer_id = g.customer_id AND m.mark = g.mark;

-- name: end
UPDATE ferry.activation_run SET handed_over = clock_timestamp(), withheld = withheld + %(withheld)s WHERE id = %(run)s;

-- name: latest
-- The newest run of each activation that was handed over, and how many the recipient has now.
SELECT DISTINCT ON (r.activation) r.activation, r.id, r.handed_over, r.who, r.approved_by,
       (SELECT count(*) FROM ferry.activation_member m
        WHERE m.route = r.route AND m.activation = r.activation AND m.state NOT IN ('out', 'refused')) AS members
FROM ferry.activation_run r
WHERE r.route = %(route)s AND r.handed_over IS NOT NULL
ORDER BY r.activation, r.id DESC;

-- name: of_customers
-- To whom the data of these customers was handed over, what, from when on, and whether the recipient was told to let it go.
SELECT r.recipient, m.activation, r.destination, r.fields, min(m.first_sent) AS first_sent, max(m.sent_at) AS last_sent,
       bool_and(m.state = 'out') AS let_go
FROM ferry.activation_member m
JOIN ferry.activation_run r ON r.id = m.run
WHERE m.route = %(route)s AND m.customer_id = ANY(%(customers)s)
GROUP BY r.recipient, m.activation, r.destination, r.fields
ORDER BY r.recipient, m.activation;

-- name: barred
-- Customers who have asked to be erased, to be left in peace, or that their data be only kept: by the new shop's key, and by those
-- of legacy where the two differ. A request that was refused bars nobody.
SELECT DISTINCT CASE WHEN p.store = 'shop' THEN p.key ELSE coalesce(i.shop_id, i.shop_key::text, p.key) END
FROM ferry.request r
JOIN ferry.request_person p ON p.request = r.id
LEFT JOIN ferry.identity i ON p.store = 'legacy' AND i.entity = %(identity)s AND i.legacy_key::text = p.key
WHERE r.route = %(route)s AND r.kind = ANY(%(kinds)s) AND r.state <> 'refused'
  AND (p.store = 'shop' OR i.legacy_key IS NOT NULL OR %(identity)s::text IS NULL);

-- name: opted_out
-- Marks of addresses that refuse this channel, as other tools and registers keep them.
SELECT DISTINCT mark FROM ferry.optout WHERE route = %(route)s AND channel = %(channel)s;

-- name: addresses
-- The addresses that these marks stand for, where a mapping has met them.
SELECT DISTINCT m.value, a.value
FROM ferry.standardized m
JOIN ferry.standardized a ON a.raw = m.raw AND a.kind = left(m.kind, -5)
WHERE m.kind IN ('email_mark', 'phone_mark') AND m.value = ANY(%(marks)s) AND a.value IS NOT NULL;
