-- A small Oscar with its usual defects: accounts of one e-mail, staff, orders of guests and of nobody, odd numbers, sums that differ.
INSERT INTO address_country VALUES ('PL', 'POL', '616', 'Poland', 'POLAND', 0, true);
INSERT INTO payment_sourcetype VALUES (1, 'Przelew', 'przelew'), (2, 'Karta', 'karta');
INSERT INTO order_shippingeventtype VALUES (1, 'Shipped', 'shipped'), (2, 'Delivered', 'delivered'), (3, 'Returned', 'returned');
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT i, 'pbkdf2_sha256$1000$salt$' || i, i = 40, 'u' || i, 'Jan', 'Nr ' || i,
       CASE WHEN i % 10 = 0 THEN 'Klient' || i - 1 ELSE 'klient' || i END || CASE WHEN i = 33 THEN '' ELSE '@Example.com' END,
       i = 39, i % 7 > 0, '2020-01-01 12:00+01'::timestamptz + i * interval '1 hour'
FROM generate_series(1, 40) i;
INSERT INTO address_useraddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode, search_text,
    phone_number, notes, is_default_for_shipping, is_default_for_billing, num_orders_as_shipping_address,
    num_orders_as_billing_address, hash, date_created, country_id, user_id)
SELECT i, '', 'Jan', 'Nr ' || i, 'ul. Prosta ' || i, '', '', 'Warszawa', '', '00-838', '', '', '', i % 2 = 0, i % 3 = 0, 0, 0, i::text,
       '2020-01-01 12:00+01'::timestamptz + i * interval '1 hour', 'PL', 1 + i % 40
FROM generate_series(1, 80) i;
INSERT INTO order_shippingaddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode, search_text,
    phone_number, notes, country_id)
SELECT i, '', 'Jan', 'Nr ' || i, 'ul. Prosta ' || i, '', '', 'Warszawa', '', '00-838', '', '', '', 'PL' FROM generate_series(1, 60) i;
INSERT INTO order_billingaddress (id, title, first_name, last_name, line1, line2, line3, line4, state, postcode, search_text, country_id)
SELECT i, '', 'Jan', 'Nr ' || i, 'ul. Prosta ' || i, '', '', 'Warszawa', '', '00-838', '', 'PL' FROM generate_series(1, 60) i;
INSERT INTO order_order (id, number, currency, total_incl_tax, total_excl_tax, shipping_incl_tax, shipping_excl_tax, shipping_method,
    shipping_code, status, guest_email, date_placed, billing_address_id, shipping_address_id, user_id, analytics_tracked)
SELECT i, CASE WHEN i % 9 = 0 THEN 'PL/' || i ELSE (100000 + i)::text END, CASE WHEN i % 20 = 0 THEN 'EUR' ELSE 'PLN' END,
       7.38 + 20 + CASE WHEN i % 15 = 0 THEN 0.01 ELSE 0 END, 1, 7.38, 6, 'Kurier', 'kurier',
       (ARRAY['Pending', 'Shipped', 'Complete', 'Cancelled', 'Zaginione'])[1 + i % 5],
       CASE WHEN i % 6 = 0 THEN 'Gosc' || i % 4 || '@example.com' ELSE '' END, '2020-02-01 12:00+01'::timestamptz + i * interval '1 hour',
       i, i, CASE WHEN i % 6 > 0 AND i % 17 > 0 THEN 1 + i % 40 END, false
FROM generate_series(1, 60) i;
INSERT INTO order_line (id, partner_name, partner_sku, partner_line_reference, partner_line_notes, title, quantity, line_price_incl_tax,
    line_price_excl_tax, line_price_before_discounts_incl_tax, line_price_before_discounts_excl_tax, status, order_id, allocation_cancelled,
    num_allocated)
SELECT i, '', 'KUB-' || i, '', '', 'Kubek ' || i, 1 + i % 3, 10, 8.13, 10 + i % 2, round((10 + i % 2) / 1.23, 2), '', 1 + i % 60, false, 0
FROM generate_series(1, 120) i;
INSERT INTO order_orderdiscount (id, category, offer_name, voucher_code, amount, message, order_id)
SELECT i, CASE WHEN i % 5 = 0 THEN 'Shipping' ELSE 'Basket' END, 'Wiosna', 'WIOSNA', 1, '', i FROM generate_series(1, 60) i;
INSERT INTO order_orderlinediscount SELECT i, i % 4 > 0, 1, i, 1 + i % 60 FROM generate_series(1, 120) i WHERE i % 2 = 1;
INSERT INTO payment_source (id, currency, amount_allocated, amount_debited, amount_refunded, reference, label, order_id, source_type_id)
SELECT i, 'PLN', 27.38, CASE WHEN i % 4 > 0 THEN 27.38 ELSE 0 END, CASE WHEN i % 12 = 1 THEN 5 ELSE 0 END, '', '', i, 1 + i % 2
FROM generate_series(1, 60) i;
INSERT INTO payment_transaction (id, txn_type, amount, reference, status, date_created, source_id)
SELECT i, 'Debit', 27.38, 'T-' || i, '', '2020-03-01 12:00+01', i FROM generate_series(1, 60) i WHERE i % 4 > 0;
INSERT INTO order_shippingevent SELECT i, CASE WHEN i % 2 = 0 THEN 'DPD' || i ELSE '' END, '2020-03-02 12:00+01', 1 + i % 2, 1 + i % 60
FROM generate_series(1, 60) i;
INSERT INTO order_shippingeventquantity SELECT l.id, 1, e.id, l.id FROM order_line l JOIN order_shippingevent e USING (order_id);
INSERT INTO order_orderstatuschange SELECT i, 'Pending', 'Shipped', '2020-03-02 12:00+01', i FROM generate_series(1, 60) i;
INSERT INTO order_ordernote SELECT i, 'Info', 'nr ' || i, '2020-03-02 12:00+01', '2020-03-02 12:00+01', i, NULL FROM generate_series(1, 30) i;
INSERT INTO order_surcharge SELECT i, 'Pobranie', 'cod', 1.23, 1, i, NULL FROM generate_series(3, 60, 10) i;
