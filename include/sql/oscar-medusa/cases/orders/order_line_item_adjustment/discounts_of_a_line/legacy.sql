-- Together the discounts are what the line went down by: with tax or without, noted or not, and never more.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 113, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false);
INSERT INTO order_line (id, partner_name, partner_sku, partner_line_reference, partner_line_notes, title, quantity,
    line_price_incl_tax, line_price_excl_tax, line_price_before_discounts_incl_tax,
    line_price_before_discounts_excl_tax, status, order_id, allocation_cancelled, num_allocated) VALUES
(1, '', 'KUB-1', '', '', 'Kubek', 1, 35, 33.33, 45, 42.86, 'Pending', 1, false, 0),
(2, '', 'KUB-1', '', '', 'Kubek', 1, 87.7, 71.3, 100, 81.3, 'Pending', 1, false, 0),
(3, '', 'KUB-1', '', '', 'Kubek', 1, 8, 6.5, 10, 8.13, 'Pending', 1, false, 0),
(4, '', 'KUB-1', '', '', 'Kubek', 1, 9, 7.32, 10, 8.13, 'Pending', 1, false, 0);
INSERT INTO order_orderdiscount (id, category, offer_name, voucher_code, amount, message, order_id) VALUES
(1, 'Basket', 'Wiosna', 'WIOSNA10', 10, '', 1),
(2, 'Basket', 'Dla stałych', '', 10, '', 1);
INSERT INTO order_orderlinediscount (id, is_incl_tax, amount, line_id, order_discount_id) VALUES
(1, true, 7, 1, 1),
(2, true, 3, 1, 2),
(3, false, 10, 2, 1),
(4, true, 3, 4, 1);
