-- 1 and 2 are one person, called by the number of 1; 3 and 4 are another. As the way back declares a grant: in each account.
INSERT INTO customers (id, email, full_name, phone, bill_country) VALUES
(1, 'ala@example.com', 'Ala Nowak', '601 234 567', 'PL'), (2, 'ala@example.com', 'Ala Nowak', '602 234 567', 'PL'),
(3, 'ewa@example.com', 'Ewa Sowa', '603 234 567', 'PL'), (4, 'ewa@example.com', 'Ewa Sowa', '604 234 567', 'PL');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(10, 2, 'sms', 'N', '2016-01-01', NULL, NULL), (11, 1, 'sms', 'T', '2019-01-01', 'v1', NULL), (12, 2, 'sms', 'T', '2019-01-01', 'v1', NULL),
(20, 1, 'email', 'N', '2016-01-01', NULL, NULL), (21, 2, 'email', 'N', '2017-01-01', NULL, NULL),
(22, 1, 'email', 'T', '2019-01-01', 'v1', NULL), (23, 2, 'email', 'T', '2019-01-01', 'v1', NULL),
(30, 3, 'sms', 'N', '2016-01-01', NULL, NULL), (31, 4, 'sms', 'T', '2019-01-01', 'v1', NULL),
(40, 3, 'email', 'N', '2016-01-01', NULL, NULL), (41, 4, 'email', 'N', '2017-01-01', NULL, NULL), (42, 4, 'email', 'T', '2019-01-01', 'v1', NULL),
(50, 3, 'phone', 'T', '2016-01-01', 'v1', NULL), (51, 4, 'phone', 'N', '2017-01-01', NULL, NULL), (52, 4, 'phone', 'T', '2019-01-01', 'v1', NULL);
