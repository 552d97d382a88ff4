-- pairs: accounts with one loyalty card
-- owner: Loyalty programme
-- most:  4
SELECT DISTINCT upper(regexp_replace(l.card_number, '[^[:alnum:]]', '', 'g')) AS block, l.customer_id AS key
FROM legacy.loyalty_accounts l
WHERE length(regexp_replace(l.card_number, '[^[:alnum:]]', '', 'g')) >= 6;
