INSERT INTO customers (id, email, full_name, newsletter, newsletter_date) VALUES (1, 'a@example.com', 'Anna Nowak', 'T', '2011-03-05');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) VALUES (10, 1, 'email', 'T', '2015-01-01', NULL, 'v1', NULL);
