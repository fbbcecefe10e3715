-- What became of a sign-in: how often it was used and when last, added up when its sessions end.
ALTER TABLE refresh_families
    ADD COLUMN access_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN last_seen_at timestamptz,
    -- The next refresh begins a new session, with a new id: what the person may do has changed.
    ADD COLUMN rotates      boolean NOT NULL DEFAULT false;

-- What an account belongs to and may do beside what its role says.
ALTER TABLE users
    ADD COLUMN groups      text[] NOT NULL DEFAULT '{}' CHECK (cardinality(groups) <= 64),
    ADD COLUMN permissions text[] NOT NULL DEFAULT '{}' CHECK (cardinality(permissions) <= 64);

-- Searching by the beginning of a name, whatever its case.
CREATE INDEX users_by_lower_id ON users (lower(user_id) text_pattern_ops);
CREATE INDEX users_by_lower_email ON users (lower(email) text_pattern_ops);
CREATE INDEX audit_log_by_actor ON audit_log (actor, audit_id DESC);
