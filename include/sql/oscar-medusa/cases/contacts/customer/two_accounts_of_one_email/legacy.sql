-- Oscar lets several accounts have one e-mail, each with its password; it may be anybody's who typed it.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Ewa', 'Kowalski', 'ewa@example.com', false, true, '2021-01-01 12:00+01'),
(2, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u2', 'E.', 'Kowalski', 'Ewa@example.com', false, true, '2019-01-01 12:00+01'),
(3, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u3', 'X', 'Kowalski', 'ewa@example.com', false, false, '2018-01-01 12:00+01');
