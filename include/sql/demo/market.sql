-- What marketing may see of whom: those who may be written to, by purpose and channel, with what it takes to write to them. It
-- becomes view ferry_masked.market, for role ferry_market_demo.
SELECT a.purpose, a.channel, a.basis, a.customer_id, c.given_name, c.family_name,
       CASE a.channel WHEN 'email' THEN c.email WHEN 'post' THEN home.address ELSE c.phone END AS address
FROM shop.audience a
JOIN shop.customer c ON c.id = a.customer_id
LEFT JOIN LATERAL (
    SELECT concat_ws(', ', d.street, concat_ws(' ', d.postcode, d.city), d.country_code) AS address
    FROM shop.customer_address d
    WHERE a.channel = 'post' AND d.customer_id = c.id AND d.street IS NOT NULL AND d.city IS NOT NULL
    ORDER BY d.is_default DESC, d.id
    LIMIT 1
) home ON true;
