-- What the service may do in this database: after each `holdfast migrate`, by the role that owns the tables.
--
-- It reads and writes rows. It makes and changes no table, says what happened but never unsays it (the audit log), and
-- cannot pretend that a migration ran.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO holdfast_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO holdfast_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO holdfast_service;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO holdfast_service;
REVOKE UPDATE, DELETE ON audit_log FROM holdfast_service;
REVOKE INSERT, UPDATE, DELETE ON holdfast_migrations FROM holdfast_service;
