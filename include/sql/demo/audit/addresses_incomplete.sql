-- audit:  addresses can be delivered to
-- owner:  Logistics
-- unit:   addresses
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: see that the address form wants street, postcode, town and country; ask at the next order
SELECT CASE WHEN is_billing THEN 'billing' ELSE 'delivery' END AS segment,
       count(*) FILTER (WHERE street IS NULL OR postcode IS NULL OR city IS NULL OR country_code IS NULL) AS bad, count(*) AS of
FROM shop.customer_address
GROUP BY 1;
