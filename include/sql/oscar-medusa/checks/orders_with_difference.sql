-- check:    no order's lines and shipping differ from the total that was paid
-- severity: warning
-- phase:    orders
-- target:   public.order
-- remedy:   know why: a line that was deleted in Oscar, or a price that was changed there by hand
SELECT o.id AS key, 'difference ' || (o.metadata->'legacy'->>'total_difference') AS found
FROM public."order" o
WHERE o.metadata->'legacy' ? 'total_difference';
