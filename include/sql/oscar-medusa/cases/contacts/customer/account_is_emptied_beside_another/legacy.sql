-- One of two accounts of a customer is emptied under way: the other is the customer alone, and has its password.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'ewa@example.com', false, true, '2020-01-01 12:00+01'),
(2, 'pbkdf2_sha256$1000$salt$dHdv', false, 'u2', 'Ewa', 'Kowalska', 'ewa@example.com', false, true, '2021-01-01 12:00+01');
