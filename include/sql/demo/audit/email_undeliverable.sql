-- audit:  e-mail addresses lead somewhere
-- owner:  Marketing
-- unit:   active customers
-- better: lower
-- warn:   0.5 points worse
-- error:  3 points worse
-- phase:  contacts
-- remedy: have the sign-up form suggest the right domain; ask at the next order, a mail does not arrive
-- Domains that do not exist, and those that people type for another.
SELECT 'all' AS segment,
       count(*) FILTER (WHERE d.domain ~ '(^|\.)(invalid|test|localhost|local)$' OR d.domain !~ '\.' OR d.domain IN (
           'gmial.com', 'gmai.com', 'gmail.co', 'gmail.pl', 'gnail.com', 'gmail.con', 'wp.p', 'wp.pll', 'o2.p', 'onet.p', 'interia.p',
           'hotmial.com', 'hotmail.co', 'yaho.com', 'yahoo.co', 'outlok.com')) AS bad,
       count(*) AS of
FROM (SELECT split_part(email_key, '@', 2) AS domain FROM shop.customer WHERE status = 'active') d;
