INSERT INTO customers (id, email, full_name, newsletter, newsletter_date) VALUES
(1, 'a@example.com', 'Anna Nowak', 'T', '05.03.2011'), (2, 'b@example.com', 'Jan Lis', 'N', '2012-01-01'), (3, 'c@example.com', 'Ewa Lis', 'N', NULL), (4, 'd@example.com', 'Iza Lis', 'T', '0000-00-00');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES (10, 4, 'email', 'T', '2015-01-01', NULL, 'v1', '2016-01-01');
