-- entity: clean.inactive
-- key:    account_id
-- scope:  account_id
-- source: legacy.customers(id), legacy.orders, legacy.consents, legacy.loyalty_accounts, legacy.loyalty_redemptions
-- source: legacy.loyalty_rewards, ferry.setting
-- standardize: email legacy.customers (email)
-- standardize: email legacy.orders (email)
-- standardize: email legacy.consents (email)
-- standardize: date legacy.customers (newsletter_date)
-- standardize: date legacy.loyalty_rewards (valid_until)
-- index:  legacy.customers(email)
-- index:  legacy.consents(customer_id)
-- index:  legacy.consents(email)
-- index:  legacy.orders(customer_id)
-- index:  legacy.orders(email)
-- index:  legacy.loyalty_accounts(customer_id)
-- index:  legacy.loyalty_redemptions(account_id)
-- index:  legacy.loyalty_rewards(customer_id)
-- Accounts whose last sign of life is before the day that [retention] in route.toml gives; without that day it is empty, and
-- no change leads here but those of accounts themselves. A sign of life is whatever the person did: signing up or in, an order,
-- a consent given, confirmed or taken back, a reward taken; as a guest with this e-mail, too. A time that cannot be true is none if
-- it is before 1995, and is one if it is to come. An account of which no time is known stays: nobody can say that it is old.
-- What is not settled keeps the account: an order that is not delivered, cancelled or refunded, goods sent back, points, a reward
-- that had not run out by that day.
-- Whether the person has other accounts is judged where accounts are joined: customer.identity.sql.
WITH closed(code) AS (VALUES
    ('DONE'), ('5'), ('D'), ('DELIVERED'), ('COMPLETED'), ('CANC'), ('6'), ('C'), ('CANCELED'), ('CANCELLED'),
    ('REFUND'), ('8'), ('REFUNDED')
), account AS (
    SELECT c.id, c.created_at, c.last_login, d.value::timestamp AS flagged_at, e.value AS email, p.value::timestamp AS since
    FROM ferry.setting p
    CROSS JOIN affected a
    JOIN legacy.customers c ON c.id = a.key
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
    LEFT JOIN ferry.standardized d ON d.kind = 'date' AND d.raw = c.newsletter_date
    WHERE p.name = 'inactive_since' AND p.value <> ''
), spelling AS (  -- under which guests may have written it
    SELECT a.id, s.raw FROM account a JOIN ferry.standardized s ON s.kind = 'email' AND s.value = a.email
), placed AS (
    SELECT a.id, o.created_at, o.status_code FROM account a JOIN legacy.orders o ON o.customer_id = a.id
    UNION ALL
    SELECT w.id, o.created_at, o.status_code
    FROM spelling w JOIN legacy.orders o ON o.email = w.raw AND coalesce(o.customer_id, 0) <= 0
), declared AS (
    SELECT a.id, s.granted_at, s.confirmed_at, s.withdrawn_at FROM account a JOIN legacy.consents s ON s.customer_id = a.id
    UNION ALL
    SELECT w.id, s.granted_at, s.confirmed_at, s.withdrawn_at
    FROM spelling w JOIN legacy.consents s ON s.email = w.raw AND s.customer_id <= 0
), card AS (
    SELECT a.id, l.id AS card_id, l.created_at, coalesce(l.points, 0) AS points
    FROM account a JOIN legacy.loyalty_accounts l ON l.customer_id = a.id
), sign(id, at, unsettled) AS (
    SELECT a.id, x.at, false FROM account a CROSS JOIN LATERAL (VALUES (a.created_at), (a.last_login), (a.flagged_at)) x (at)
    UNION ALL
    SELECT o.id, o.created_at, z.code IS NULL FROM placed o LEFT JOIN closed z ON z.code = upper(btrim(o.status_code))
    UNION ALL
    SELECT d.id, x.at, false FROM declared d CROSS JOIN LATERAL (VALUES (d.granted_at), (d.confirmed_at), (d.withdrawn_at)) x (at)
    UNION ALL
    SELECT k.id, k.created_at, k.points <> 0 FROM card k
    UNION ALL
    SELECT k.id, r.created_at, false FROM card k JOIN legacy.loyalty_redemptions r ON r.account_id = k.card_id
    UNION ALL
    SELECT a.id, x.at, upper(r.state) IN ('W', 'X', 'A') IS NOT TRUE AND r.taken_at IS NULL AND (v.value::timestamp < a.since) IS NOT TRUE
    FROM account a
    JOIN legacy.loyalty_rewards r ON r.customer_id = a.id
    LEFT JOIN ferry.standardized v ON v.kind = 'date' AND v.raw = r.valid_until
    CROSS JOIN LATERAL (VALUES (r.earned_at), (r.taken_at)) x (at)
)
SELECT a.id AS account_id,
       '{}'::text[] AS problems
FROM account a
JOIN sign g ON g.id = a.id
GROUP BY a.id, a.since
HAVING max(g.at) FILTER (WHERE g.at >= '1995-01-01') < a.since AND NOT bool_or(g.unsettled);

-- lineage: legacy.orders
SELECT c.customer_id FROM changed c JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> ''
UNION
SELECT k.id
FROM changed c
JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> ''
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = e.value
JOIN legacy.customers k ON k.email = s.raw
WHERE coalesce(c.customer_id, 0) <= 0;

-- lineage: legacy.consents
SELECT c.customer_id FROM changed c JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> ''
UNION
SELECT k.id
FROM changed c
JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> ''
JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = c.email
JOIN ferry.standardized s ON s.kind = 'email' AND s.value = e.value
JOIN legacy.customers k ON k.email = s.raw
WHERE c.customer_id <= 0;

-- lineage: legacy.loyalty_accounts
SELECT c.customer_id FROM changed c JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> '';

-- lineage: legacy.loyalty_redemptions
SELECT l.customer_id
FROM changed c
JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> ''
JOIN legacy.loyalty_accounts l ON l.id = c.account_id;

-- lineage: legacy.loyalty_rewards
SELECT c.customer_id FROM changed c JOIN ferry.setting p ON p.name = 'inactive_since' AND p.value <> '';
