-- Orders of all accounts with one e-mail are those of one customer; those of staff have none.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01'),
(2, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u2', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01'),
(3, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u3', 'Jan', 'Kowalski', 'szef@example.com', true, true, '2020-01-01 12:00+01'),
(4, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u4', 'Jan', 'Kowalski', '', false, true, '2020-01-01 12:00+01');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 0, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false),
(2, '100002', 'PLN', 0, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 2, false),
(3, '100003', 'PLN', 0, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 3, false),
(4, '100004', 'PLN', 0, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 4, false);
