UPDATE order_items SET order_id = 101 WHERE id = 1; DELETE FROM order_items WHERE id = 2; UPDATE orders SET status_code = 'NEW' WHERE id = 102;
