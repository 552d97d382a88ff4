UPDATE auth_user SET email = '', first_name = '', last_name = '', password = '!', is_active = false WHERE id = 1;
UPDATE order_shippingaddress SET title = '', first_name = '', last_name = '', line1 = '', line4 = '', postcode = '',
    phone_number = '', notes = '' WHERE id = 1;
UPDATE order_ordernote SET message = '' WHERE id = 1;
