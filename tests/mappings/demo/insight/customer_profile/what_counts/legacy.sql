INSERT INTO customers (id, email, full_name, created_at, last_login) VALUES (1, 'a@example.com', 'Anna Nowak', '2019-01-01', '2025-02-01');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, delivery_cost, created_at) VALUES
    (10, 'A1', 1, 'a@example.com', 'DONE', 100, 'PLN', 'BLIK', 'INPOST', 0, '2025-06-01 12:00'),
    (11, 'A2', 1, 'a@example.com', 'DONE', 50, 'PLN', 'BLIK', 'INPOST', 0, '2024-01-10 12:00'),
    (12, 'A3', 1, 'a@example.com', 'PAID', 30, 'EUR', 'CARD', 'DPD', 0, '2025-05-01 12:00'),
    (13, 'A4', 1, 'a@example.com', 'CANC', 900, 'PLN', 'CARD', 'DPD', 0, '2025-06-20 12:00'),
    (14, 'A5', 1, 'a@example.com', 'RET', 800, 'PLN', 'CARD', 'DPD', 0, '2025-06-21 12:00'),
    (15, 'A6', 0, 'other@example.com', 'DONE', 700, 'PLN', 'CARD', 'DPD', 0, '2025-06-22 12:00');
INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total)
    SELECT id, id, 'S', 'Rzecz', 1, total, 23, total FROM orders;
