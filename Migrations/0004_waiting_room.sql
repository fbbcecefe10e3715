-- The waiting room: one row per event that somebody ever queued for, one per place taken.

CREATE TABLE queues (
    event_id   uuid PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    -- The next place to be given. Raised under the row's lock, so places have no gaps and commit in order.
    next_qseq  bigint NOT NULL DEFAULT 1 CHECK (next_qseq >= 1),
    -- Which life of the queue in Redis is the current one. Raised before each rebuild, at the draw and when cleared.
    epoch      bigint NOT NULL DEFAULT 0,
    -- The key of the lobby's draw, and its SHA-256, which may be shown before the draw.
    secret     bytea NOT NULL CHECK (length(secret) = 32),
    commitment text NOT NULL,
    drawn_at   timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE queue_entries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id   uuid NOT NULL REFERENCES queues (event_id) ON DELETE CASCADE,
    user_id    text NOT NULL REFERENCES users (user_id),
    -- NULL only in the lobby, until the draw. Never changes afterwards.
    qseq       bigint,
    state      text NOT NULL CHECK (state IN ('lobby', 'waiting', 'admitted', 'expired', 'left', 'cleared')),
    joined_at  timestamptz NOT NULL DEFAULT now(),
    -- By Redis' clock, which decides about passes; milliseconds since 1970.
    admitted_at_ms bigint,
    expires_at_ms  bigint,
    ended_at   timestamptz,
    CHECK (qseq IS NOT NULL OR state IN ('lobby', 'left', 'cleared'))
);

-- One place per event and person at a time, whichever tab or instance.
CREATE UNIQUE INDEX queue_entries_live ON queue_entries (event_id, user_id)
    WHERE state IN ('lobby', 'waiting', 'admitted');
CREATE UNIQUE INDEX queue_entries_place ON queue_entries (event_id, qseq);
-- Rebuild reads the live ones in order; admissions and expiries are written by place.
CREATE INDEX queue_entries_line ON queue_entries (event_id, state, qseq)
    WHERE state IN ('lobby', 'waiting', 'admitted');
