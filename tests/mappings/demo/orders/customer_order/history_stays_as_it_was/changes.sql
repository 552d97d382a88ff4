UPDATE order_items SET line_total = 85 WHERE id = 1;
