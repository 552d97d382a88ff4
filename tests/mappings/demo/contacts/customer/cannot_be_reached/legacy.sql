INSERT INTO customers (id, email, full_name) VALUES (1, 'brak', 'Jan Kowalski'), (2, '', 'Jan Kowalski'), (3, NULL, 'Jan Kowalski'), (4, 'x@example.com', 'Jan ' || repeat('Nowak', 45));
