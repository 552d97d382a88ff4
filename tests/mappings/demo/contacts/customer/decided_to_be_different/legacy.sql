INSERT INTO customers (id, email, full_name, created_at) VALUES
    (1, 'jan@example.com', 'Jan Kowalski', '2015-05-05'),
    (2, 'jan@example.com', 'Jan Kowalski', '2012-05-05'),
    (3, 'ala@example.com', 'Ala Nowak', '2015-05-05'),
    (4, 'ola@example.com', 'Ola Wilk', '2015-05-05'),
    (5, 'iza@example.com', 'Iza Lis', '2015-05-05');
