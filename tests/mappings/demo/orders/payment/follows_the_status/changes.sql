UPDATE orders SET status_code = 'PAID', total = 120 WHERE id = 100;
