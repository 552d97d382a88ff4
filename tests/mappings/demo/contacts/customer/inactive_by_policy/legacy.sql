INSERT INTO customers (id, email, full_name, deleted, created_at, last_login) VALUES
    (1, 'a@example.com', 'Anna Nowak', 'N', '2010-01-01', '2015-01-01'),
    (2, 'b@example.com', 'Beata Lis', 'N', '2010-01-01', '2021-01-01'),
    (3, 'c@example.com', 'Celina Kos', 'N', '2010-01-01', NULL),    -- an open order
    (4, 'd@example.com', 'Dorota Sowa', 'N', '2010-01-01', NULL),   -- points
    (5, 'e@example.com', 'Ewa Zych', 'N', '2010-01-01', NULL),      -- another account, seen since
    (6, ' E@example.com', 'Ewa Zych', 'N', '2012-01-01', '2024-05-05'),
    (7, 'g@example.com', 'Gaja Kot', 'N', '2010-01-01', NULL),      -- ordered as a guest
    (8, 'h@example.com', 'Hela Ryś', 'N', NULL, '0001-01-01'),      -- nobody knows when
    (9, 'none', 'Iga Bąk', 'N', '2010-01-01', NULL),                -- of no use, and old
    (10, 'j@example.com', 'Jola Żuk', 'N', '2010-01-01', NULL),     -- took a consent back
    (11, 'k@example.com', 'Kaja Rak', 'N', '2010-01-01', NULL),     -- took a reward
    (12, 'l@example.com', 'Lena Mysz', 'T', '2010-01-01', NULL),
    (13, 'm@example.com', 'Maja Paw', 'N', '2010-01-01', NULL),     -- all that she had is settled
    (14, 'n@example.com', 'Nina Foka', 'N', '2010-01-01', '2099-01-01'),
    (15, 'o@example.com', 'Ola Wilk', 'N', '2010-01-01', NULL),     -- another's account has her address, and was seen
    (16, 'o@example.com', 'Piotr Bór', 'N', '2011-01-01', '2023-01-01'),
    (17, 'q@example.com', 'Rita Lew', 'N', '2010-01-01', NULL),     -- two accounts, both old
    (18, 'q@example.com', 'Rita Lew', 'N', '2011-01-01', NULL),
    (19, 's@example.com', 'Sara Dzik', 'N', '2010-01-01', NULL);    -- sent something back
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, created_at) VALUES
    (100, 'Z/100', 3, 'c@example.com', 'SENT', 10, 'PLN', '2012-01-15'),
    (101, 'Z/101', 0, 'G@example.com', 'DONE', 10, 'PLN', '2022-01-15'),
    (102, 'Z/102', 13, 'm@example.com', 'done', 10, 'PLN', '2012-01-15'),
    (103, 'Z/103', 13, 'm@example.com', 'CANC', 10, 'PLN', '2012-01-15'),
    (104, 'Z/104', 19, 's@example.com', 'RET', 10, 'PLN', '2012-01-15');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES
    (1, 10, 'email', 'T', '2012-01-01', 'v1', '2022-02-02'), (2, 13, 'email', 'T', '2012-01-01', 'v1', NULL);
INSERT INTO loyalty_accounts (id, customer_id, points, created_at) VALUES (1, 4, 5, '2012-01-01'), (2, 11, 0, '2012-01-01'),
    (3, 13, 0, '2012-01-01');
INSERT INTO loyalty_redemptions (id, account_id, reward, points, created_at) VALUES (1, 2, 'Kubek', 5, '2022-01-01');
