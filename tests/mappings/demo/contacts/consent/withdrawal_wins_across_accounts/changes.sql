UPDATE consents SET withdrawn_at = '2016-01-01 12:00' WHERE id = 11;
