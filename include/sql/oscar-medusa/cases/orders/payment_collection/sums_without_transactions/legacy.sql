-- Where transactions do not make up the sum, the sum counts, once; a debit under way changes both.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'jan@example.com', false, true, '2020-01-01 12:00+01');
INSERT INTO payment_sourcetype (id, name, code) VALUES
(1, 'Przelew', 'przelew');
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax,
    shipping_method, shipping_code, status, guest_email, date_placed, user_id, analytics_tracked) VALUES
(1, '100001', 'PLN', 10, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false),
(2, '100002', 'PLN', 10, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false),
(3, '100003', 'PLN', 10, 0, 0, 0, '', '', 'Cancelled', '', '2020-02-02 12:00+01', 1, false),
(4, '100004', 'PLN', 10, 0, 0, 0, '', '', 'Pending', '', '2020-02-02 12:00+01', 1, false);
INSERT INTO payment_source (id, currency, amount_allocated, amount_debited, amount_refunded, reference, label,
    order_id, source_type_id) VALUES
(1, 'PLN', 0, 10, 0, '', '', 1, 1),
(2, 'PLN', 10, 4, 0, '', '', 2, 1),
(4, 'PLN', 10, 0, 0, '', '', 4, 1);
INSERT INTO payment_transaction (id, txn_type, amount, reference, status, date_created, source_id) VALUES
(1, 'Debit', 9, '', '', '2020-02-02 12:30+01', 2);
