-- 1 opted out later than granted, 2 before, 3 without a time, 4 by a bounce; 5 is on no list.
INSERT INTO customers (id, email, full_name, newsletter, newsletter_date) VALUES
(1, 'A@example.com', 'Anna Nowak', 'T', '2019-01-01'), (2, 'b@example.com', 'Ewa Lis', NULL, NULL), (3, 'c@example.com', 'Jan Wilk', NULL, NULL),
(4, 'd@example.com', 'Adam Kot', NULL, NULL), (5, 'e@example.com', 'Olga Bak', NULL, NULL);
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES
(10, 1, 'email', 'T', '2020-01-01', NULL, 'v2', NULL), (11, 1, 'sms', 'T', '2020-01-01', NULL, 'v2', NULL),
(20, 2, 'email', 'T', '2020-01-01', NULL, 'v2', NULL), (30, 3, 'email', 'T', '2020-01-01', NULL, 'v2', NULL),
(40, 4, 'email', 'T', '2020-01-01', NULL, 'v2', NULL), (50, 5, 'email', 'T', '2020-01-01', NULL, 'v2', NULL);
