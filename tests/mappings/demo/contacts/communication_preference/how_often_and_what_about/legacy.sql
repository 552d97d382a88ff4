INSERT INTO customers (id, email, full_name, news_frequency, news_topics) VALUES
(1, 'a@example.com', 'Anna Nowak', 'tyg.', 'Książki; ZABAWKI|books,, xyz'), (2, 'b@example.com', 'Bogdan Lis', 'czasem', ''),
(3, 'c@example.com', 'Celina Kos', ' ', ', ;'), (4, 'd@example.com', 'Dorota Lis', 'Nigdy!', NULL),
(5, 'e@example.com', 'Ewa Lis', NULL, 'nowoĹci'), (6, 'f@example.com', 'Filip Lis', 'M', NULL);
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(10, 4, 'email', 'T', '2016-01-01', 'v1', NULL), (11, 5, 'email', 'T', '2015-01-01', 'v1', '2016-01-01'),
(12, 6, 'phone', 'T', '2016-01-01', 'v1', NULL);
