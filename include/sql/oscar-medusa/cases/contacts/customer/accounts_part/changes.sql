UPDATE auth_user SET email = 'adam@example.com' WHERE id = 2;
