-- check:    every card's balance is what legacy showed, and the sum of its ledger
-- severity: error
-- phase:    loyalty
-- target:   shop.loyalty_account
-- remedy:   merge the account named anew
-- Cards in quarantine or left out are counted there. A card that was opened in the new shop has its ledger alone.
WITH booked AS (
    SELECT e.account_id, sum(e.points) AS points FROM shop.loyalty_entry e GROUP BY e.account_id
), old AS (
    SELECT l.id, coalesce(l.points, 0) AS points
    FROM legacy.loyalty_accounts l
    WHERE NOT EXISTS (SELECT FROM ferry.quarantine q WHERE q.entity = 'shop.loyalty_account' AND q.row_key = l.id::text)
      AND NOT EXISTS (SELECT FROM ferry.left_out x WHERE x.entity = 'shop.loyalty_account' AND x.row_key = l.id::text)
)
SELECT coalesce(a.id, old.id)::text AS key,
       format('legacy %s, balance %s, ledger %s', coalesce(old.points::text, 'none'), coalesce(a.balance::text, 'none'),
              coalesce(b.points, 0)) AS found
FROM shop.loyalty_account a
FULL JOIN old ON old.id = a.id
LEFT JOIN booked b ON b.account_id = a.id
WHERE a.id IS NULL OR a.balance <> coalesce(b.points, 0) OR a.balance <> old.points;
