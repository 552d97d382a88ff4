INSERT INTO customers (id, email, full_name, phone, bill_country) VALUES
(1, 'w@example.com', 'Pan Wei', '0171/2345678', 'Deutschland'),
(2, 'h@example.com', 'Le Hoa', '0221/4710/4711', 'DE'),
(3, 'j@example.com', 'Jan Kowalski Jr.', '0664/1234567', 'Polnad'),
(4, 'k@example.com', 'P. Nowak', '22/826-50-12 wew. 12', NULL);
