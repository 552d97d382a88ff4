-- title: Accounts and customers
-- phase: contacts
-- about: Accounts of Oscar become customers; staff, and further accounts with the same e-mail, are not carried. Guests are not counted here.

-- name: legacy
-- Accounts, as Oscar counts them.
SELECT CASE WHEN u.is_staff OR u.is_superuser THEN 'staff' ELSE 'customers' END AS segment, count(*) AS accounts
FROM auth_user u
GROUP BY 1;

-- name: shop
-- Customers with an account that came from there.
SELECT 'customers' AS segment, count(*) AS accounts
FROM public.customer c
WHERE c.has_account AND c.metadata->'legacy' ? 'id'
HAVING count(*) > 0;

-- name: held
-- Accounts that are in quarantine or left out by a rule.
SELECT CASE WHEN u.is_staff OR u.is_superuser THEN 'staff' ELSE 'customers' END AS segment, count(*) AS accounts
FROM legacy.auth_user u
JOIN (SELECT row_key FROM ferry.quarantine WHERE entity = 'public.customer'
      UNION SELECT row_key FROM ferry.left_out WHERE entity = 'public.customer') h ON h.row_key = u.id::text
GROUP BY 1;
