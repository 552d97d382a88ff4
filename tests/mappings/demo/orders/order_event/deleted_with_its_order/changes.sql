DELETE FROM orders WHERE id = 100; DELETE FROM order_status_log WHERE order_id = 100;
