INSERT INTO promotions (id, code, kind, value) VALUES (1, 'LATO', 'P', 10), (2, 'lato ', 'P', 15), (3, 'Zima', '?', 5), (4, 'ZIMA', 'P', 5), (5, 'WIOSNA', 'P', 5);
