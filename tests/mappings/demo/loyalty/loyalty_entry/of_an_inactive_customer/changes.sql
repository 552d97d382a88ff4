UPDATE loyalty_accounts SET points = 5 WHERE id = 2;
