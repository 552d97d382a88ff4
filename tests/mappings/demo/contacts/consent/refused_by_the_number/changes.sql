INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
(15, 2, 's', 'N', '2021-01-01', NULL, NULL);
