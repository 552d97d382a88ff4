-- What Medusa's own code writes of a new customer with an order and of a guest's, in its order: ids are ULIDs, prices without tax.
-- Both try to name a row of Oscar that is not theirs.
INSERT INTO auth_identity (id) VALUES ('authid_01M8HF1RNTNSPKH4G4TPDVP8VP');
INSERT INTO provider_identity (id, entity_id, provider, auth_identity_id, provider_metadata)
VALUES ('01M8HF1RNTEM87W0TQHDHXCR8V', 'nowa@example.com', 'emailpass', 'authid_01M8HF1RNTNSPKH4G4TPDVP8VP', '{"password": "c2NyeXB0"}');
INSERT INTO customer (id, email, first_name, has_account, metadata)
VALUES ('cus_01M8HF1RQG3R9J0YWEY3VYWC2E', 'nowa@example.com', 'Nowa', true, '{"legacy": {"id": 1}, "size": "M"}'),
       ('cus_01M8HF1RQG3R9J0YWEY3VYWC2F', 'nowy.gosc@example.com', NULL, false, NULL);
UPDATE auth_identity SET app_metadata = '{"customer_id": "cus_01M8HF1RQG3R9J0YWEY3VYWC2E"}' WHERE id = 'authid_01M8HF1RNTNSPKH4G4TPDVP8VP';
INSERT INTO customer_address (id, customer_id, is_default_shipping, first_name, address_1, city, country_code, postal_code)
VALUES ('cuaddr_01M8HF1RZ2ER7JS7RKAZJ9DMZG', 'cus_01M8HF1RQG3R9J0YWEY3VYWC2E', true, 'Nowa', 'Prosta 1', 'Warszawa', 'pl', '00-001');
INSERT INTO order_address (id, first_name, address_1, city, country_code)
SELECT 'ordaddr_01M8HF1VJMZWCKNV53C8SRC0' || i, 'Nowa', 'Prosta ' || i, 'Warszawa', 'pl' FROM generate_series(1, 4) i;
INSERT INTO "order" (id, display_id, customer_id, email, currency_code, shipping_address_id, billing_address_id, metadata)
VALUES ('order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 200001, 'cus_01M8HF1RQG3R9J0YWEY3VYWC2E', 'nowa@example.com', 'pln',
        'ordaddr_01M8HF1VJMZWCKNV53C8SRC01', 'ordaddr_01M8HF1VJMZWCKNV53C8SRC02', '{"legacy": {"id": 1}}'),
       ('order_01M8HF1VK0Z5R6EGJCQKJ7WGZG', 200002, 'cus_01M8HF1RQG3R9J0YWEY3VYWC2F', 'nowy.gosc@example.com', 'pln',
        'ordaddr_01M8HF1VJMZWCKNV53C8SRC03', 'ordaddr_01M8HF1VJMZWCKNV53C8SRC04', NULL);
INSERT INTO order_line_item (id, title, variant_sku, unit_price, raw_unit_price)
VALUES ('ordli_01M8HF1VK5N3BP021TQRSNEKTP', 'Kubek', 'KUB-1', 29.9, '{"value": "29.9", "precision": 20}');
INSERT INTO order_item (id, order_id, version, item_id, quantity, raw_quantity, fulfilled_quantity, shipped_quantity,
    return_requested_quantity, return_received_quantity, return_dismissed_quantity, written_off_quantity)
VALUES ('orditem_01M8HF1VK6PED4NBFT7NG5BGAC', 'order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 1, 'ordli_01M8HF1VK5N3BP021TQRSNEKTP', 2,
        '{"value": "2", "precision": 20}', 0, 0, 0, 0, 0, 0);
INSERT INTO order_line_item_tax_line (id, item_id, code, rate, raw_rate)
VALUES ('ordlitxl_01M8HF1VK47GRNHDPHWY18VVWZ', 'ordli_01M8HF1VK5N3BP021TQRSNEKTP', 'vat23', 23, '{"value": "23", "precision": 20}');
INSERT INTO order_shipping_method (id, name, amount, raw_amount)
VALUES ('ordsm_01M8HF1VJYAAPPCG04H0G2NCK1', 'Kurier', 15, '{"value": "15", "precision": 20}');
INSERT INTO order_shipping (id, order_id, version, shipping_method_id)
VALUES ('ordspmv_01M8HF1VJZMBCWSAFDRJYNRV0J', 'order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 1, 'ordsm_01M8HF1VJYAAPPCG04H0G2NCK1');
INSERT INTO order_shipping_method_tax_line (id, shipping_method_id, code, rate, raw_rate)
VALUES ('ordsmtxl_01M8HF1VJYE3RVD162JNF0KNQE', 'ordsm_01M8HF1VJYAAPPCG04H0G2NCK1', 'vat23', 23, '{"value": "23", "precision": 20}');
-- Of these 5.00 are given back below: Medusa takes them from the total by a credit line.
INSERT INTO order_summary (id, order_id, version, totals)
VALUES ('ordsum_01M8HF1VJT2ERH6JGZHBNESE1C', 'order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 1, '{"current_order_total": 87.004}');
INSERT INTO payment_collection (id, currency_code, amount, raw_amount)
VALUES ('pay_col_01M8HF1V7XH1D5H8BNPAP4PWMZ', 'pln', 92.004, '{"value": "92.004", "precision": 20}');
INSERT INTO order_payment_collection (order_id, payment_collection_id, id)
VALUES ('order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 'pay_col_01M8HF1V7XH1D5H8BNPAP4PWMZ', 'ordpay_01M8HF1VRPKWZDJ8B8PFAAN0ZA');
INSERT INTO payment (id, payment_collection_id, payment_session_id, currency_code, amount, raw_amount, provider_id)
VALUES ('pay_01M8HF1VTBPHT3V2CQY4SD8SFQ', 'pay_col_01M8HF1V7XH1D5H8BNPAP4PWMZ', 'payses_01M8HF1VBBK3H5TV4BYWMXNJPY', 'pln', 92.004,
        '{"value": "92.004", "precision": 20}', 'pp_system_default');
INSERT INTO capture (id, payment_id, amount, raw_amount)
VALUES ('capt_01M8HF2AR21DKKCBF76YR8D8HZ', 'pay_01M8HF1VTBPHT3V2CQY4SD8SFQ', 92.004, '{"value": "92.004", "precision": 20}');
INSERT INTO refund (id, payment_id, amount, raw_amount)
VALUES ('ref_01M8HF2AR21DKKCBF76YR8D8HZ', 'pay_01M8HF1VTBPHT3V2CQY4SD8SFQ', 5, '{"value": "5", "precision": 20}');
