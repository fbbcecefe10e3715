-- Who may sign in. The shape of user_id is UserID's in HoldfastCore: it stands in Redis keys and logs as it is.
CREATE TABLE users (
    user_id       text PRIMARY KEY CHECK (user_id ~ '^[A-Za-z0-9._@+-]{1,64}$'),
    user_name     text NOT NULL CHECK (char_length(user_name) BETWEEN 1 AND 800),
    email         text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
    role          text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin', 'super_admin')),
    -- A PHC string, or '!' in an account that no password opens.
    password_hash text NOT NULL,
    active        boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
