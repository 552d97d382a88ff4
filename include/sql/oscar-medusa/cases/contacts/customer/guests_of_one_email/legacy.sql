-- Medusa has room for one guest of each e-mail; a second order of it comes later.
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 0, 0, 0, 0, '', '', 'Pending', 'Gosc@example.com', '2020-02-02 12:00+01', NULL, false),
(2, '100002', 'PLN', 0, 0, 0, 0, '', '', 'Pending', 'inny@example.com', '2020-02-02 12:00+01', NULL, false);
