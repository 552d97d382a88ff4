INSERT INTO customers (id, email, full_name, phone, bill_country, active, deleted, last_login, created_at)
VALUES (1, 'jan@example.com', 'Jan Kowalski', '601 234 567', 'PL', 'T', 'N', '2020-07-01 12:00', '2020-01-15 12:00');
