-- psql --set owner_password=… --set password=… --file roles.sql: the database, the role that changes its tables, and the
-- role that the servers use, which cannot.
\set ON_ERROR_STOP on
CREATE ROLE tidemark_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE tidemark LOGIN PASSWORD :'password';
-- An endless query delays only its own page; a forgotten transaction delays vacuum, and with it the whole database.
ALTER ROLE tidemark SET statement_timeout = '30s';
ALTER ROLE tidemark SET idle_in_transaction_session_timeout = '60s';
CREATE DATABASE tidemark OWNER tidemark_owner;
REVOKE ALL ON DATABASE tidemark FROM PUBLIC;
GRANT CONNECT ON DATABASE tidemark TO tidemark;
\connect tidemark
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO tidemark_owner;
GRANT USAGE ON SCHEMA public TO tidemark;
ALTER DEFAULT PRIVILEGES FOR ROLE tidemark_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tidemark;
ALTER DEFAULT PRIVILEGES FOR ROLE tidemark_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO tidemark;
