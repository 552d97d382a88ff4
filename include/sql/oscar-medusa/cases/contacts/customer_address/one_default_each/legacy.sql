-- One default per customer is the care of Oscar's code and of Medusa's index; merged accounts bring two. Later it moves.
INSERT INTO address_country (iso_3166_1_a2, iso_3166_1_a3, iso_3166_1_numeric, printable_name, name, display_order,
    is_shipping_country) VALUES
('PL', 'POL', '616', 'Poland', 'POLAND', 0, true);
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01'),
(2, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u2', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO address_useraddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode,
    search_text, phone_number, notes, is_default_for_shipping, is_default_for_billing,
    num_orders_as_shipping_address, num_orders_as_billing_address, hash, date_created, country_id, user_id) VALUES
(1, 'Mr', 'Jan', 'Kowalski', 'ul. Prosta 1', 'm. 2', 'piętro 1', 'Warszawa', '', '00-838', '', '+48601234567', 'dzwonić', true, true, 0, 0, '1', '2020-01-01 12:00+01', 'PL', 1),
(2, '', 'Jan', 'Kowalski', 'ul. Prosta 1', '', '', 'Warszawa', '', '00-838', '', '', '', true, false, 0, 0, '2', '2021-01-01 12:00+01', 'PL', 2),
(3, '', 'Jan', 'Kowalski', 'ul. Prosta 1', '', '', 'Warszawa', '', '00-838', '', '', '', false, false, 0, 0, '3', '2020-01-01 12:00+01', 'PL', 2);
