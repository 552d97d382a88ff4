-- check:    the sequences of cards, redemptions, rewards, promotions and entries are ahead of every key in use
-- severity: error
-- phase:    loyalty
-- target:   shop.loyalty_account
-- remedy:   set the sequence named past the largest key: SELECT setval('<sequence>', <largest key>)
-- Old cards, redemptions, rewards and promotions keep their ids; the cutover sets those sequences past them, so for them this holds
-- once the new shop is open. Entries take theirs out of the sequence.
WITH used AS (
    SELECT 'shop.loyalty_account' AS target, 'shop.loyalty_account_id_seq' AS sequence,
           s.last_value + s.is_called::integer AS next,
           (SELECT max(id) FROM shop.loyalty_account) AS largest
    FROM shop.loyalty_account_id_seq s
    UNION ALL
    SELECT 'shop.loyalty_redemption', 'shop.loyalty_redemption_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.loyalty_redemption)
    FROM shop.loyalty_redemption_id_seq s
    UNION ALL
    SELECT 'shop.loyalty_reward', 'shop.loyalty_reward_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.loyalty_reward)
    FROM shop.loyalty_reward_id_seq s
    UNION ALL
    SELECT 'shop.promotion', 'shop.promotion_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.promotion)
    FROM shop.promotion_id_seq s
    UNION ALL
    SELECT 'shop.loyalty_entry', 'shop.loyalty_entry_id_seq', s.last_value + s.is_called::integer,
           (SELECT max(id) FROM shop.loyalty_entry)
    FROM shop.loyalty_entry_id_seq s
)
SELECT u.target, u.sequence AS key, format('next %s, largest key %s', u.next, u.largest) AS found
FROM used u
WHERE u.next <= u.largest
  AND (u.target = 'shop.loyalty_entry' OR EXISTS (SELECT FROM ferry.route r WHERE r.active = 'shop'));
