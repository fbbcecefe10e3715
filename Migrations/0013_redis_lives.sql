-- Which history of data each event's state in Redis was built on. Another one with the same epoch is a Redis that came
-- back from an old file, or a replica that was promoted and may lack the last writes: the state is then built anew.
CREATE TABLE redis_lives (
    event_id       uuid PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    -- `master_replid` of the primary that has the event's keys.
    replication_id text NOT NULL CHECK (length(replication_id) BETWEEN 1 AND 100),
    noted_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
