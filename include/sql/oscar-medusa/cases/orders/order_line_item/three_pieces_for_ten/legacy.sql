-- The price of a piece times the pieces must be the line's price: here only with many decimals.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 89.8, 73.01, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false);
INSERT INTO order_line (id, partner_name, partner_sku, partner_line_reference, partner_line_notes, title, quantity,
    line_price_incl_tax, line_price_excl_tax, line_price_before_discounts_incl_tax,
    line_price_before_discounts_excl_tax, status, order_id, allocation_cancelled, num_allocated, unit_price_incl_tax,
    unit_price_excl_tax, upc) VALUES
(1, '', 'KUB-1', '', '', 'Kubek', 3, 10, 8.13, 10, 8.13, 'Shipped', 1, false, 0, 3.33, 2.71, '590'),
(2, '', 'KSI-9', '', '', '', 2, 79.8, 64.88, 79.8, 64.88, 'Pending', 1, false, 0, NULL, NULL, NULL);
