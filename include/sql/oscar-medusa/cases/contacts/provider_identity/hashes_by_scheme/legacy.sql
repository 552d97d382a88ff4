-- What Django writes begins with the scheme; what begins otherwise cannot be verified, or is the password itself.
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined) VALUES
(1, 'pbkdf2_sha256$1000$salt$c3Vt', false, 'u1', 'Jan', 'Kowalski', 'u1@example.com', false, true, '2020-01-01 12:00+01'),
(2, 'bcrypt_sha256$$2b$12$abc', false, 'u2', 'Jan', 'Kowalski', 'u2@example.com', false, true, '2020-01-01 12:00+01'),
(3, 'md5$salt$abc', false, 'u3', 'Jan', 'Kowalski', 'u3@example.com', false, true, '2020-01-01 12:00+01'),
(4, '!unusable', false, 'u4', 'Jan', 'Kowalski', 'u4@example.com', false, true, '2020-01-01 12:00+01'),
(5, 'Haslo123', false, 'u5', 'Jan', 'Kowalski', 'u5@example.com', false, true, '2020-01-01 12:00+01'),
(6, '', false, 'u6', 'Jan', 'Kowalski', 'u6@example.com', false, true, '2020-01-01 12:00+01');
