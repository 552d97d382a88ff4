INSERT INTO customers (id, email, full_name, created_at, news_frequency, news_topics) VALUES
(1, 'a@example.com', 'Anna Nowak', '2012-01-01', 'M', 'zabawki'), (2, 'A@example.com', 'Anna Nowak', '2010-01-01', NULL, 'dom'),
(3, 'c@example.com', 'Celina Kos', '2012-01-01', 'M', NULL), (4, 'C@example.com', 'Celina Kos', '2010-01-01', 'all', NULL);
