-- check:    every customer has as many addresses as its accounts in Oscar
-- severity: error
-- phase:    contacts
-- target:   public.customer_address
-- remedy:   merge the customer named anew
WITH old AS (
    SELECT i.shop_id, count(*) AS n
    FROM legacy.address_useraddress d
    JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = d.user_id
    JOIN public.customer c ON c.id = i.shop_id
    GROUP BY i.shop_id
), new AS (
    SELECT d.customer_id AS shop_id, count(*) AS n FROM public.customer_address d WHERE d.deleted_at IS NULL GROUP BY d.customer_id
)
SELECT coalesce(old.shop_id, new.shop_id) AS key,
       format('legacy %s, new shop %s', coalesce(old.n, 0), coalesce(new.n, 0)) AS found
FROM old
FULL JOIN new ON new.shop_id = old.shop_id
WHERE old.n IS DISTINCT FROM new.n;
