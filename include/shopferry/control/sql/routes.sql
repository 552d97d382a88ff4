-- name: register
-- A route, once.
INSERT INTO ferry.route (route) VALUES (%(route)s) ON CONFLICT DO NOTHING;

-- name: standing
-- Which store the application writes to, since which version and when.
SELECT route, active, version, changed_at FROM ferry.route WHERE route = %(route)s;

-- name: flip
-- The application writes to this store from now on.
UPDATE ferry.route SET active = %(active)s, version = %(version)s, changed_at = clock_timestamp() WHERE route = %(route)s;

-- name: record_installed
-- The mappings that the mirror was made for.
UPDATE ferry.route SET installed = %(fingerprint)s WHERE route = %(route)s;

-- name: installed
-- The fingerprint of the mappings that the mirror was made for.
SELECT installed FROM ferry.route WHERE route = %(route)s;

-- name: is_current
-- Whether the control tables are of this version, and the mirror was made for these mappings.
SELECT m.version = %(version)s AND r.installed = %(fingerprint)s FROM ferry.meta m, ferry.route r WHERE r.route = %(route)s;

-- name: pause
-- Keep replay and backfill out: they lock the phases first.
SELECT FROM ferry.phase WHERE route = %(route)s ORDER BY position FOR UPDATE;
