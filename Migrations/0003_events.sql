-- What is on sale: events and their numbered seats.

CREATE TABLE events (
    id                uuid PRIMARY KEY,
    -- The order of creation; pages of the list are cut by it.
    listing           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    title             text NOT NULL,
    venue             text NOT NULL,
    starts_at         timestamptz NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status            text NOT NULL DEFAULT 'scheduled'
                      CHECK (status IN ('scheduled', 'open', 'paused', 'closed')),
    opens_at          timestamptz,
    max_seats_per_user integer NOT NULL CHECK (max_seats_per_user BETWEEN 1 AND 100),
    hold_seconds      integer NOT NULL CHECK (hold_seconds BETWEEN 1 AND 86400),
    no_orphan_seats   boolean NOT NULL DEFAULT false,
    queue_enabled     boolean NOT NULL DEFAULT false,
    queue_max_active  integer NOT NULL CHECK (queue_max_active BETWEEN 1 AND 1000000),
    queue_rate_per_minute integer NOT NULL CHECK (queue_rate_per_minute BETWEEN 1 AND 10000000),
    queue_mode        text NOT NULL CHECK (queue_mode IN ('fifo', 'lobby')),
    queue_pass_seconds integer NOT NULL CHECK (queue_pass_seconds BETWEEN 1 AND 86400),
    queue_paused      boolean NOT NULL DEFAULT false,
    -- As in the event file; the seats below are what is sold.
    sections          jsonb NOT NULL,
    general_admission jsonb NOT NULL,
    layout_version    integer NOT NULL DEFAULT 1,
    seat_count        integer NOT NULL CHECK (seat_count BETWEEN 0 AND 100000),
    created_at        timestamptz NOT NULL DEFAULT now()
);

-- Every instance asks each second which events are due to open.
CREATE INDEX events_due ON events (opens_at) WHERE status = 'scheduled';

CREATE TABLE seats (
    event_id    uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    seat_id     text NOT NULL,
    section     text NOT NULL,
    row_number  integer NOT NULL,
    seat_number integer NOT NULL,
    price       bigint NOT NULL CHECK (price >= 0),
    ordinal     integer NOT NULL,
    PRIMARY KEY (event_id, seat_id),
    UNIQUE (event_id, ordinal)
);
