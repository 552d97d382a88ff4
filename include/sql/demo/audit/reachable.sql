-- audit:  customers may be written to
-- owner:  Marketing
-- unit:   active customers
-- better: higher
-- warn:   0.5 points worse
-- error:  5 points worse
-- phase:  contacts
-- remedy: look at which audit of consents drifted on the same day; ask for a consent only at the next order or sign-in
SELECT k.channel::text AS segment, c.customers - coalesce(a.people, 0) AS bad, c.customers AS of
FROM unnest(enum_range(NULL::shop.contact_channel)) AS k (channel)
CROSS JOIN (SELECT count(*) AS customers FROM shop.customer WHERE status = 'active') c
LEFT JOIN (SELECT channel, count(*) AS people FROM shop.audience WHERE purpose = 'marketing' GROUP BY channel) a USING (channel);
