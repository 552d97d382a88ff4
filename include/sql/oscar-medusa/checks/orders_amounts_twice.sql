-- check:    every amount that stands twice in Medusa, as number and as text, is the same
-- severity: error
-- phase:    orders
-- target:   public.order_line_item
-- remedy:   merge the order named anew
-- The application believes the text, its filters and sorts the number.
SELECT x.target, x.id AS key, format('%s and %s', x.amount, x.raw->>'value') AS found
FROM (SELECT 'public.order_line_item' AS target, id, unit_price AS amount, raw_unit_price AS raw FROM public.order_line_item
      UNION ALL SELECT 'public.order_item', id, quantity, raw_quantity FROM public.order_item
      UNION ALL SELECT 'public.order_line_item_adjustment', id, amount, raw_amount FROM public.order_line_item_adjustment
      UNION ALL SELECT 'public.order_shipping_method', id, amount, raw_amount FROM public.order_shipping_method
      UNION ALL SELECT 'public.payment', id, amount, raw_amount FROM public.payment
      UNION ALL SELECT 'public.capture', id, amount, raw_amount FROM public.capture
      UNION ALL SELECT 'public.refund', id, amount, raw_amount FROM public.refund
      UNION ALL SELECT 'public.order_transaction', id, amount, raw_amount FROM public.order_transaction) x
WHERE x.amount IS DISTINCT FROM (x.raw->>'value')::numeric;
