-- An account is emptied, with all addresses, while its order stays: the order is nobody's, and loses nothing but the person.
INSERT INTO address_country (iso_3166_1_a2, iso_3166_1_a3, iso_3166_1_numeric, printable_name, name, display_order,
    is_shipping_country) VALUES
('PL', 'POL', '616', 'Poland', 'POLAND', 0, true);
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO order_shippingaddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode,
    search_text, phone_number, notes, country_id) VALUES
(1, 'Pan', 'Jan', 'Kowalski', 'ul. Prosta 1', '', '', 'Warszawa', '', '00-838', '', '601234567', 'kod 12', 'PL');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, shipping_address_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 10, 8.13, 0, 0, '', '', 'Complete', '', '2020-02-02 12:00+01', 1, 1, false);
INSERT INTO order_line (id, partner_name, partner_sku, partner_line_reference, partner_line_notes, title, quantity,
    line_price_incl_tax, line_price_excl_tax, line_price_before_discounts_incl_tax,
    line_price_before_discounts_excl_tax, status, order_id, allocation_cancelled, num_allocated) VALUES
(1, '', 'KUB-1', '', '', 'Kubek', 1, 10, 8.13, 10, 8.13, '', 1, false, 0);
INSERT INTO order_ordernote (id, note_type, message, date_created, date_updated, order_id) VALUES
(1, 'Info', 'dzwonił', '2020-02-03 12:00+01', '2020-02-03 12:00+01', 1);
