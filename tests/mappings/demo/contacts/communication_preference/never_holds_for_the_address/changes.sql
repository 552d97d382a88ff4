UPDATE customers SET news_frequency = '0' WHERE id = 2; UPDATE customers SET email = 'C@example.com' WHERE id = 4;
