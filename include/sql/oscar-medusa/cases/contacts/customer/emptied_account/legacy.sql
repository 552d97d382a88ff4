-- An account without an e-mail that may not sign in is what is left of one whose owner was erased, or has gone. Another that has no
-- e-mail, and may sign in, waits. Staff are staff, whatever they have.
INSERT INTO address_country (iso_3166_1_a2, iso_3166_1_a3, iso_3166_1_numeric, printable_name, name, display_order,
    is_shipping_country) VALUES
('PL', 'POL', '616', 'Poland', 'POLAND', 0, true);
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, '!', false, 'u1', '', '', '', false, false, '2020-01-01 12:00+01'),
(2, '!', false, 'u2', '', '', ' ', false, true, '2020-01-01 12:00+01'),
(3, '!', false, 'u3', '', '', '', true, false, '2020-01-01 12:00+01');
INSERT INTO address_useraddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode,
    search_text, phone_number, notes, is_default_for_shipping, is_default_for_billing,
    num_orders_as_shipping_address, num_orders_as_billing_address, hash, date_created, country_id, user_id) VALUES
(7, '', 'Jan', 'Kowalski', 'ul. Prosta 1', '', '', 'Warszawa', '', '00-838', '', '', '', false, false, 0, 0, '7', '2020-01-01 12:00+01', 'PL', 1);
