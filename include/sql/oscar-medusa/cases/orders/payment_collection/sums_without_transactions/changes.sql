INSERT INTO payment_transaction (id, txn_type, amount, reference, status, date_created, source_id)
VALUES (2, 'Debit', 1, '', '', '2020-02-04 12:00+01', 2);
UPDATE payment_source SET amount_debited = 10 WHERE id = 2;
