INSERT INTO customers (id, email, full_name, created_at, news_frequency, news_topics) VALUES
(1, 'a@example.com', 'Anna Nowak', '2010-01-01', 'Tyg.', 'dom; wędkarstwo'), (2, 'A@example.com', 'Anna Nowak', '2012-01-01', 'czasem', NULL),
(3, 'c@example.com', 'Celina Kos', '2010-01-01', ' ', ';DOM');
