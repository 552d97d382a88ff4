INSERT INTO customers (id, email, full_name, news_frequency, deleted) VALUES
(1, 'a@example.com', 'Anna Nowak', 'W', 'N'), (2, ' A@example.com', 'Anna Nowak', 'W', 'T'),
(3, 'c@example.com', 'Celina Kos', 'W', 'N'), (4, 'd@example.com', 'Celina Kos', 'never', 'T');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) VALUES
(10, 1, 'email', 'T', '2016-01-01', 'v1'), (11, 3, 'email', 'T', '2016-01-01', 'v1');
