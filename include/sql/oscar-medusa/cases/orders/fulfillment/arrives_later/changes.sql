INSERT INTO order_shippingevent (id, notes, date_created, event_type_id, order_id) VALUES (3, '', '2020-02-06 12:00+01', 2, 1);
INSERT INTO order_shippingeventquantity (id, quantity, event_id, line_id) VALUES (3, 2, 3, 1), (4, 1, 3, 2);
