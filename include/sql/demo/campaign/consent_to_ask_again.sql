-- campaign: Consent by e-mail that lacks its proof, or ends within sixty days
-- owner: Marketing
-- purpose: marketing
-- Who has taken it back is never asked again. To ask by e-mail for the consent to e-mails is allowed only while it holds.
SELECT s.customer_id,
       CASE WHEN s.state = 'granted' THEN 'consent ends on ' || (s.expires_at AT TIME ZONE 'Europe/Warsaw')::date
            ELSE 'consent not proven' END AS why,
       CASE WHEN s.state = 'granted' THEN 'email' ELSE 'next_sign_in' END AS may_ask_by
FROM shop.consent s
JOIN shop.customer c ON c.id = s.customer_id
WHERE s.purpose = 'marketing' AND s.channel = 'email' AND c.status = 'active'
  AND (s.state = 'unproven' OR s.state = 'granted' AND s.expires_at < now() + interval '60 days')
  AND NOT EXISTS (SELECT FROM shop.consent w
                  WHERE w.customer_id = s.customer_id AND w.channel = s.channel AND w.state = 'withdrawn');
