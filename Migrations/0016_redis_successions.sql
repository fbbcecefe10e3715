-- The history of data that Redis was met with when it was not the one of redis_lives any more, and the life of the seats
-- that it found. A later life was begun in it, and is not ended again by whoever goes on with restoring the event.
CREATE TABLE redis_successions (
    event_id       uuid PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    replication_id text NOT NULL CHECK (length(replication_id) BETWEEN 1 AND 100),
    seat_epoch     bigint NOT NULL
);
