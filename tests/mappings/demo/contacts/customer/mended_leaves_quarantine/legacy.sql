INSERT INTO customers (id, email, full_name) VALUES (1, 'brak', 'Jan Kowalski');
