-- audit:  addresses have a postcode
-- owner:  Logistics
-- unit:   addresses
-- better: lower
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: see that the address form wants it; ask at the next order
SELECT CASE WHEN country_code IN ('PL', 'RO', 'IT') THEN country_code ELSE 'other' END AS segment,
       count(*) FILTER (WHERE postcode IS NULL) AS bad, count(*) AS of
FROM shop.customer_address
GROUP BY 1;
