INSERT INTO promotions (id, code, kind, value, currency, min_order, valid_from, valid_to, once, active, max_uses, used) VALUES
(1, ' lato10 ', 'proc.', 10.004, NULL, 0, '2020-06-01', '31.08.2020', 'T', 'N', 500, 12),
(2, 'Bon', 'kwota', 20, 'zł', 100, '', '0000-00-00', 'N', 'T', 0, NULL),
(3, 'STALE', '%', 100, 'eur', NULL, NULL, '2099-12-31', NULL, NULL, NULL, 0);
