-- check:    the sequences of customers, addresses and consents are ahead of every key in use
-- severity: error
-- phase:    contacts
-- target:   shop.customer
-- remedy:   set the sequence named past the largest key: SELECT setval('<sequence>', <largest key>)
-- Identity and merge take these keys out of the sequences, so they are ahead at any time.
WITH used AS (
    SELECT 'shop.customer' AS target, 'shop.customer_id_seq' AS sequence, s.last_value + s.is_called::integer AS next,
           (SELECT max(id) FROM shop.customer) AS largest
    FROM shop.customer_id_seq s
    UNION ALL
    SELECT 'shop.customer_address', 'shop.customer_address_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.customer_address)
    FROM shop.customer_address_id_seq s
    UNION ALL
    SELECT 'shop.consent', 'shop.consent_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.consent)
    FROM shop.consent_id_seq s
    UNION ALL
    SELECT 'ferry.identity', 'shop.customer_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(shop_key) FROM ferry.identity WHERE entity IN ('account', 'customer'))
    FROM shop.customer_id_seq s
)
SELECT u.target, u.sequence AS key, format('next %s, largest key %s', u.next, u.largest) AS found
FROM used u
WHERE u.next <= u.largest;
