UPDATE order_items SET quantity = 1, line_total = -50 WHERE id = 2;
DELETE FROM order_items WHERE id = 3;
UPDATE orders SET status_code = 'DONE' WHERE id = 101;
