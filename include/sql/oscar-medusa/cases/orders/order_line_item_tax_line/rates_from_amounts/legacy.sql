-- Oscar keeps amounts with and without tax, rounded to the grosz; Medusa keeps rates.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 1, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false);
INSERT INTO order_line (id, partner_name, partner_sku, partner_line_reference, partner_line_notes, title, quantity,
    line_price_incl_tax, line_price_excl_tax, line_price_before_discounts_incl_tax,
    line_price_before_discounts_excl_tax, status, order_id, allocation_cancelled, num_allocated, tax_code) VALUES
(1, '', 'KUB-1', '', '', 'Kubek', 2, 59.8, 48.62, 59.8, 48.62, 'Pending', 1, false, 0, NULL),
(2, '', 'KUB-1', '', '', 'Kubek', 1, 10, 9.26, 10, 9.26, 'Pending', 1, false, 0, NULL),
(3, '', 'KUB-1', '', '', 'Kubek', 1, 45, 42.86, 45, 42.86, 'Pending', 1, false, 0, 'LOW'),
(4, '', 'KUB-1', '', '', 'Kubek', 1, 45, 45, 45, 45, 'Pending', 1, false, 0, NULL),
(5, '', 'KUB-1', '', '', 'Kubek', 1, 119, 100, 119, 100, 'Pending', 1, false, 0, NULL),
(6, '', 'KUB-1', '', '', 'Kubek', 1, 0.05, 0.04, 0.05, 0.04, 'Pending', 1, false, 0, NULL);
