INSERT INTO customers (id, email, full_name, created_at) VALUES
    (1, 'a@example.com', 'Anna Nowak', '2010-01-01'), (2, 'b@example.com', 'Beata Lis', '2010-01-01');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, note, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone) VALUES
    (100, 'Z/100', 1, 'a@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2012-01-15 12:00', 'kod 1234', 'Osoba', 'Krótka 5/7', '00-950', 'Warszawa', 'PL', '601 234 567'),
    (101, 'Z/101', 2, 'b@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2012-01-15 12:00', 'kod 1234', 'Osoba', 'Krótka 5/7', '00-950', 'Warszawa', 'PL', '601 234 567');
INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) VALUES
    (1, 100, 'DONE', 'anna', 'dzwonić', '2012-01-16'), (2, 101, 'DONE', 'anna', 'dzwonić', '2012-01-16');
INSERT INTO order_invoices (id, order_id, number, buyer_name, total, currency, issued_at) VALUES
    (1, 100, 'F/1', 'Anna Nowak', 10, 'PLN', '2012-01-16'), (2, 101, 'F/2', 'Beata Lis', 10, 'PLN', '2012-01-16');
