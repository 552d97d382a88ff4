-- name: record
INSERT INTO ferry.backup (route, store, reason, method, file, bytes, sha256, taken, seconds, who, tables, keep_until,
                          encrypted)
VALUES (%(route)s, %(store)s, %(reason)s, %(method)s, %(file)s, %(bytes)s, %(sha256)s, %(taken)s, %(seconds)s, %(who)s,
        %(tables)s, %(keep_until)s, %(encrypted)s)
RETURNING id;

-- name: tested
-- The last try counts: a file that was good may have been damaged since.
UPDATE ferry.backup SET tested = clock_timestamp(), test_seconds = %(seconds)s, problem = %(problem)s WHERE id = %(id)s;

-- name: all
-- The newest first.
SELECT id, store, reason, method, file, bytes, sha256, taken, seconds, who, tables, tested, test_seconds, problem,
       keep_until, encrypted, removed,
       extract(epoch FROM clock_timestamp() - taken)::float8 / 3600 AS age_h
FROM ferry.backup WHERE route = %(route)s AND (%(id)s::bigint IS NULL OR id = %(id)s) ORDER BY taken DESC, id DESC;

-- name: removed
-- Its file has gone; what it was stays known.
UPDATE ferry.backup SET removed = clock_timestamp() WHERE id = %(id)s;
