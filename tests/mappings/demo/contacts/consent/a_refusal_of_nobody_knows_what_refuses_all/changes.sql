INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(16, 2, 'wszystkie', 'N', NULL, NULL, NULL);
