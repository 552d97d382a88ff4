-- An account that is deleted later is nobody's, whatever was decided of it.
UPDATE customers SET deleted = 'T' WHERE id = 5;
