UPDATE consents SET withdrawn_at = '2020-01-01';
