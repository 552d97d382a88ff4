-- name: record
INSERT INTO ferry.acceptance (route, area, note, who) VALUES (%(route)s, %(area)s, %(note)s, %(who)s);

-- name: latest
-- The last one of each area.
SELECT DISTINCT ON (area) area, at, note, who FROM ferry.acceptance WHERE route = %(route)s ORDER BY area, at DESC;
