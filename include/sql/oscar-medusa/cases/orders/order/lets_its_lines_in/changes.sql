UPDATE order_order SET status = 'Pending' WHERE id = 1;
