INSERT INTO consents (id, customer_id, email, channel, granted, granted_at) VALUES (16, 0, 'JAN@example.com', 'mail', 'N', '2025-01-01');
