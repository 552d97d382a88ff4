UPDATE loyalty_log SET kind = 'S' WHERE id = 2;
