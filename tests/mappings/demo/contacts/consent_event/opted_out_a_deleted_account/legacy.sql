-- 2 has deleted the account, 3 has none that is like the others' of that e-mail: both have an address all the same.
INSERT INTO customers (id, email, full_name, phone, bill_country, deleted) VALUES
(1, 'a@example.com', 'Anna Nowak', '601234567', 'PL', 'N'), (2, 'b@example.com', 'Ewa Lis', '+48 602 345 678', 'PL', 'T'),
(3, 'c@example.com', 'Jan Wilk', '603456789', 'PL', 'T');
