UPDATE orders SET ship_postcode = '12-34x' WHERE id = 100;
