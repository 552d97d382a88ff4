-- Declarations that name an e-mail which is not their account's.
INSERT INTO customers (id, email, full_name, phone, bill_country) VALUES
(1, 'ala@example.com', 'Ala Nowak', '601 234 567', 'PL'), (2, 'jan@example.com', 'Jan Lis', '602 234 567', 'PL'),
(3, 'ewa@example.com', 'Ewa Sowa', '603 234 567', 'PL');
INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording, withdrawn_at) VALUES
(10, 1, NULL, 'email', 'T', '2016-01-01', 'v1', NULL), (20, 2, ' Ala@Example.com', 'email', 'N', '2017-01-01', NULL, NULL),
(30, 3, 'other@example.com', 'email', 'T', '2016-01-01', 'v1', NULL), (31, 3, 'ewa@example.com ', 'sms', 'T', '2016-01-01', 'v1', NULL);
