UPDATE orders SET status_code = 'DONE' WHERE id = 100;
