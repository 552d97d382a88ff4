-- Two customers swap their e-mails; Medusa's unique index is checked row by row.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'a@example.com', false, true, '2020-01-01 12:00+01'),
(2, 'pbkdf2_sha256$1000$salt$dHdv', false, 'u2', 'Jan', 'Kowalski', 'b@example.com', false, true, '2020-01-01 12:00+01');
