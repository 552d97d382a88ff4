-- finding: customers whose newsletter flag says yes, with nothing to prove it
-- subject: legacy customers.newsletter
-- severity: warning
-- consequence: a flag is no consent: it arrives as unproven, and nobody is written to on its strength
-- remedy: nothing in legacy can mend it; asking by e-mail would be marketing without consent; ask at the next sign-in, or in a line of a mail that is owed anyway
SELECT c.id::text AS key, coalesce(c.newsletter_date, '') AS example
FROM customers c
WHERE upper(c.newsletter) IN ('T', 'Y', '1')
  AND NOT EXISTS (SELECT FROM consents s
                  WHERE s.customer_id = c.id AND upper(s.granted) IN ('T', 'Y', '1') AND s.withdrawn_at IS NULL
                    AND s.granted_at IS NOT NULL AND btrim(coalesce(s.wording, '')) <> '')
ORDER BY c.id;
