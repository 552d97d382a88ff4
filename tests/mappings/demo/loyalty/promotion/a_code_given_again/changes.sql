DELETE FROM promotions WHERE id = 2; UPDATE promotions SET code = 'zima' WHERE id = 5;
