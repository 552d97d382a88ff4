-- check:    no address, credential, consent or wish without its customer
-- severity: error
-- phase:    contacts
-- target:   shop.customer_address
-- remedy:   merge the customer named anew; a row that then remains belongs to nobody and is deleted
-- The shop's foreign keys say so too, unless somebody has loaded rows with triggers off.
SELECT x.target, x.key, 'customer ' || x.customer_id || ' is missing' AS found
FROM (SELECT 'shop.customer_address' AS target, coalesce(source_key, id::text) AS key, customer_id FROM shop.customer_address
      UNION ALL
      SELECT 'shop.customer_credential', customer_id::text, customer_id FROM shop.customer_credential
      UNION ALL
      SELECT 'shop.consent', concat_ws('/', customer_id, purpose, channel), customer_id FROM shop.consent
      UNION ALL
      SELECT 'shop.communication_preference', concat_ws('/', customer_id, channel), customer_id
      FROM shop.communication_preference) x
WHERE NOT EXISTS (SELECT FROM shop.customer c WHERE c.id = x.customer_id);
