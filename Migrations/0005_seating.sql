-- Seats as PostgreSQL knows them: who claimed which seat, and with which grant.
-- Holds are not here: they live in Redis and die with it.

-- Which life of the event's seat state in Redis is the current one. Raised before each rebuild, so that no grant of an
-- earlier life can buy a seat.
CREATE TABLE seat_epochs (
    event_id   uuid PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    epoch      bigint NOT NULL CHECK (epoch > 0),
    raised_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row for each seat of each reservation. `live` from the reservation until it expires, is cancelled or refunded.
CREATE TABLE seat_claims (
    reservation_id  uuid NOT NULL,
    event_id        uuid NOT NULL,
    seat_id         text NOT NULL,
    user_id         text NOT NULL REFERENCES users (user_id),
    price           bigint NOT NULL CHECK (price >= 0),
    claim_number    integer NOT NULL DEFAULT 1 CHECK (claim_number > 0),
    fence_epoch     bigint NOT NULL,
    fence_counter   bigint NOT NULL,
    live            boolean NOT NULL DEFAULT true,
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reservation_id, seat_id),
    FOREIGN KEY (event_id, seat_id) REFERENCES seats (event_id, seat_id)
);

-- A seat is sold once. Everything else makes this rare to meet; this makes it impossible to break.
CREATE UNIQUE INDEX seat_claims_one_live_per_seat ON seat_claims (event_id, seat_id) WHERE live;
CREATE INDEX seat_claims_live_by_user ON seat_claims (event_id, user_id) WHERE live;

-- The last grant that bought each seat. A sale must come with a later one, so that a process that slept through its
-- hold cannot buy what was granted to another, sold and given back since.
CREATE TABLE seat_fences (
    event_id  uuid NOT NULL,
    seat_id   text NOT NULL,
    epoch     bigint NOT NULL,
    counter   bigint NOT NULL,
    PRIMARY KEY (event_id, seat_id),
    FOREIGN KEY (event_id, seat_id) REFERENCES seats (event_id, seat_id) ON DELETE CASCADE
);
