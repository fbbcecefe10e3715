-- A refresh family is one sign-in on one device: the row that can bring its session back after Redis lost it, and that
-- forbids it once revoked_at is set. Sessions themselves live in Redis.
CREATE TABLE refresh_families (
    family_id         uuid PRIMARY KEY,
    user_id           text NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    -- SHA-256 of the session id, in base64url: safe to show.
    session_handle    text NOT NULL UNIQUE,
    -- The session id itself, encrypted with a key that the database does not have.
    sealed_session_id bytea NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- When its last refresh token ends; moved on by each refresh.
    expires_at        timestamptz NOT NULL,
    revoked_at        timestamptz,
    revoked_reason    text
);

CREATE INDEX refresh_families_live_by_user ON refresh_families (user_id) WHERE revoked_at IS NULL;
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);

-- Refresh tokens by their SHA-256. A used one keeps its successor, encrypted with a key derived from the used token
-- itself, so that only who presents that token can be told the same successor again.
CREATE TABLE refresh_tokens (
    token_hash       bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    family_id        uuid NOT NULL REFERENCES refresh_families (family_id) ON DELETE CASCADE,
    issued_at        timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    sealed_successor bytea,
    CHECK ((used_at IS NULL) = (sealed_successor IS NULL))
);

CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);

-- What was done to whom, for ever. No foreign keys: the record outlives its subjects.
CREATE TABLE audit_log (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    action   text NOT NULL CHECK (char_length(action) BETWEEN 1 AND 64),
    actor    text,
    subject  text,
    address  text,
    facts    jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_log_by_subject ON audit_log (subject, audit_id DESC);

CREATE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log only grows' USING ERRCODE = 'insufficient_privilege';
END
$$;

-- A trigger binds the owner too, whom no revoked privilege would stop.
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse_change();
