-- The service's own role: once for each PostgreSQL server, by a superuser.
--
--   psql -v password=… -f Deploy/postgres/role.sql
--
-- It owns nothing and may make nothing. What it may read and write is granted in each database by grants.sql.
SELECT 'CREATE ROLE holdfast_service NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT LOGIN'
WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'holdfast_service') \gexec
ALTER ROLE holdfast_service PASSWORD :'password';
