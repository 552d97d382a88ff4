INSERT INTO customers (id, email, full_name, phone, bill_country, active, deleted, created_at) VALUES
    (1, 'jan@example.com', 'Jan Kowalski', '601234567', 'PL', 'T', 'N', '2015-05-05'),
    (2, 'JAN@example.com', 'Jan Kowalski', NULL, 'PL', 'T', 'N', '2016-05-05'),
    (3, 'kowalski@example.org', 'Jan Kowalski', '601234567', 'PL', 'T', 'N', '2012-05-05'),
    (4, 'ewa@example.com', 'Ewa Lis', '602000000', 'PL', 'T', 'N', '2015-05-05'),
    (5, 'lis@example.org', 'Ewa Wilk', '602000000', 'PL', 'T', 'N', '2015-05-05');
INSERT INTO customers (id, email, full_name) VALUES (6, 'ewa@example.com', 'Adam Zych');
