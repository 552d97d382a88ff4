UPDATE auth_user SET email = CASE id WHEN 1 THEN 'b@example.com' ELSE 'a@example.com' END;
