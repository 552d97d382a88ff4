-- name: transactions
-- What in this database may hold up the lock: (what, number, seconds). Transactions that are old; sessions that keep one
-- open with nobody at work; prepared ones, which keep their locks without a session; and sessions we may not look into.
SELECT 'open', pid::bigint, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND xact_start < clock_timestamp() - make_interval(secs => %(old)s)
UNION ALL
SELECT 'idle', pid, extract(epoch FROM clock_timestamp() - state_change)::float FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND xact_start >= clock_timestamp() - make_interval(secs => %(old)s)
  AND state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - make_interval(secs => %(idle)s)
UNION ALL
SELECT 'prepared', transaction::text::bigint, extract(epoch FROM clock_timestamp() - prepared)::float FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => %(idle)s)
UNION ALL
SELECT 'unseen', pid, 0 FROM pg_stat_activity
WHERE datname = current_database() AND backend_type IS NULL
ORDER BY 3 DESC;

-- name: connections
-- Connections of the server that anybody may have, how many of them we could still open, and those of others to this
-- database. Of sessions that we may not look into we take it that they are some application's.
WITH client AS (
    SELECT datname, usesysid, application_name FROM pg_stat_activity
    WHERE datname IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
), server AS (
    SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true)::integer, 0) AS most  -- the latter from 16 on
)
SELECT server.most,
       least(server.most - (SELECT count(*) FROM client),
             CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit - (SELECT count(*) FROM client c WHERE c.datname = d.datname) END,
             CASE WHEN r.rolconnlimit >= 0 THEN r.rolconnlimit - (SELECT count(*) FROM client c WHERE c.usesysid = r.oid) END),
       (SELECT count(*) FROM client c WHERE c.datname = d.datname AND c.application_name NOT LIKE 'shopferry %%')
FROM server, pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user;

-- name: replication
-- Slots and senders that are free, and what the log is written for.
SELECT current_setting('max_replication_slots')::integer - (SELECT count(*) FROM pg_replication_slots),
       current_setting('max_wal_senders')::integer - (SELECT count(*) FROM pg_stat_replication),
       current_setting('wal_level');

-- name: slots
-- Our slots on this database: is one read, its state, and how much log may still be written, of how much, until it is lost.
SELECT slot_name, active, coalesce(wal_status, 'unknown'), safe_wal_size,
       (SELECT nullif(setting, '-1')::bigint * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE 'shopferry\_%%' ORDER BY slot_name;

-- name: place
-- Where the server keeps its data, as far as we may know, and by what its control file can be told from another's.
SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory'), system_identifier FROM pg_control_system();

-- name: databases
-- Bytes of the databases that we may look at.
SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database
WHERE has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE');

-- name: may_list_log
SELECT has_function_privilege('pg_ls_waldir()', 'EXECUTE');

-- name: log
-- Bytes of the log on disk.
SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir();

-- name: log_at_most
-- The same where it may not be listed: what checkpoints leave, and what slots keep back.
SELECT pg_size_bytes(current_setting('max_wal_size')) + coalesce(
    (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint FROM pg_replication_slots), 0);
