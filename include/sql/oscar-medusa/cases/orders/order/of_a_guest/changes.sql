UPDATE order_order SET guest_email = 'Jan@example.com' WHERE id = 2;
