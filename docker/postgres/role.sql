-- Run by the image of a store when it makes its cluster: the role of shopferry, of the connector and of the DAGs, which is no
-- superuser. Its rights, one by one: docs/howto/secured-wire.md.
\getenv password SHOPFERRY_PASSWORD
CREATE ROLE shopferry LOGIN REPLICATION CREATEDB PASSWORD :'password';
ALTER DATABASE :"DBNAME" OWNER TO shopferry;
GRANT pg_monitor TO shopferry;
GRANT EXECUTE ON FUNCTION
    pg_replication_origin_create(text),
    pg_replication_origin_drop(text),
    pg_replication_origin_session_setup(text),
    pg_replication_origin_session_is_setup(),
    pg_replication_origin_xact_setup(pg_lsn, timestamptz)
TO shopferry;
