-- Oscar keeps an e-mail as it was typed and compares without case; Medusa looks it up letter by letter.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'Jan.Kowalski@Example.COM', false, true, '2020-01-01 12:00+01');
