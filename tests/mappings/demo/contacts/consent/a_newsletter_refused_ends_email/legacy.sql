INSERT INTO customers (id, email, full_name, newsletter, newsletter_date) VALUES
(1, 'ala@example.com', 'Ala Nowak', 'N', '2024-03-01'), (2, 'jan@example.com', 'Jan Lis', 'N', '2015-03-01'),
(3, 'ewa@example.com', 'Ewa Sowa', 'N', NULL), (4, 'iga@example.com', 'Iga Lis', 'T', '2012-01-01');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(11, 1, 'email', 'T', '2019-01-01', 'v1', NULL), (12, 1, 'sms', 'T', '2019-01-01', 'v1', NULL),
(13, 2, 'email', 'T', '2019-01-01', 'v1', NULL), (14, 3, 'email', 'T', '2019-01-01', 'v1', NULL),
(15, 4, 'email', 'T', '2019-01-01', 'v1', NULL);
