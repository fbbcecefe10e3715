-- Who of a provider is which account here. An account is made for a subject at its first sign-in, and belongs to that
-- subject alone: nothing is ever linked by name or e-mail address, which anybody may claim elsewhere.
CREATE TABLE external_identities (
    -- As the provider writes it in its tokens.
    issuer        text NOT NULL CHECK (char_length(issuer) BETWEEN 1 AND 2048),
    subject       text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
    user_id       text NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX external_identities_by_user ON external_identities (user_id);
