UPDATE auth_user SET email = '', first_name = '', last_name = '', password = '!', is_active = false WHERE id = 1;
