INSERT INTO customers (id, email, full_name, phone, created_at, last_login) VALUES
    (1, 'a@example.com', 'Anna Nowak', '601 234 567', '2010-01-01', '2015-01-01'),
    (2, 'b@example.com', 'Beata Lis', '601234567', '2010-01-01', '2024-01-01');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) VALUES
    (10, 1, 'sms', 'N', '2014-01-01', 'v1'), (11, 1, 'email', 'T', '2014-01-01', 'v1'),
    (12, 2, 'sms', 'T', '2013-01-01', 'v1'), (13, 2, 'email', 'T', '2013-01-01', 'v1');
