INSERT INTO customers (id, email, full_name, phone, bill_country, deleted) VALUES
(1, 'ala@example.com', 'Ala Nowak', '601 234 567', 'PL', 'N'), (2, 'jan@example.com', 'Jan Lis', '601 234 567', 'PL', 'T'),
(3, 'ewa@example.com', 'Ewa Sowa', '602 234 567', 'PL', 'N');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(11, 1, 'sms', 'T', '2019-01-01', 'v1', NULL), (12, 2, 'sms', 'N', '2024-01-01', 'v1', NULL),
(13, 3, 'sms', 'T', '2019-01-01', 'v1', NULL);
