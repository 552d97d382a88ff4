UPDATE order_order SET guest_email = 'GOSC@EXAMPLE.COM', date_placed = '2020-01-02 12:00+01' WHERE id = 2;
