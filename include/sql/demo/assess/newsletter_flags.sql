-- finding: customers whose newsletter flag says yes, with nothing to prove it
-- subject: legacy customers.newsletter
-- severity: warning
-- consequence: a flag is no consent: it arrives as unproven, and nobody is written to on its strength
-- remedy: nothing in legacy can mend it; plan to ask again, by a channel that may be used
SELECT c.id::text AS key, coalesce(c.newsletter_date, '') AS example
FROM customers c
WHERE upper(c.newsletter) IN ('T', 'Y', '1')
  AND NOT EXISTS (SELECT FROM consents s
                  WHERE s.customer_id = c.id AND upper(s.granted) IN ('T', 'Y', '1') AND s.withdrawn_at IS NULL
                    AND s.granted_at IS NOT NULL AND btrim(coalesce(s.wording, '')) <> '')
ORDER BY c.id;
