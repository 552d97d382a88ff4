UPDATE order_order SET user_id = NULL WHERE id = 1;
DELETE FROM auth_user WHERE id = 1;
