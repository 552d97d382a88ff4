-- name: record
-- The key that marks are made with, once.
INSERT INTO ferry.mark_key (fingerprint) VALUES (%(fingerprint)s) ON CONFLICT DO NOTHING;

-- name: find
-- The fingerprint of that key.
SELECT fingerprint FROM ferry.mark_key;
