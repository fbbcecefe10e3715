-- Reservations, payments, and what must happen after a commit.

CREATE TABLE reservations (
    id            uuid PRIMARY KEY,
    event_id      uuid NOT NULL REFERENCES events (id),
    user_id       text NOT NULL REFERENCES users (user_id),
    status        text NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'paying', 'paid', 'expired', 'cancelled', 'refunded')),
    total_amount  bigint NOT NULL CHECK (total_amount >= 0),
    currency      text NOT NULL,
    -- Which taking of its seats is the current one; see seat_claims.claim_number.
    claim_number  integer NOT NULL DEFAULT 1,
    -- Whole milliseconds, so that what a client was told is exactly what is compared.
    created_at    timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    expires_at    timestamptz NOT NULL,
    paid_at       timestamptz,
    CHECK ((status = 'paid') <= (paid_at IS NOT NULL))
);

CREATE INDEX reservations_due ON reservations (expires_at) WHERE status = 'pending';
CREATE INDEX reservations_of_user ON reservations (user_id, created_at DESC, id DESC);
CREATE INDEX reservations_of_event ON reservations (event_id, status);

ALTER TABLE seat_claims
    ADD CONSTRAINT seat_claims_reservation FOREIGN KEY (reservation_id) REFERENCES reservations (id)
    DEFERRABLE INITIALLY DEFERRED;

-- The answer to a request that may be sent again. Kept 48 hours.
CREATE TABLE idempotency_keys (
    user_id         text NOT NULL REFERENCES users (user_id),
    key             text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    -- SHA-256 of event and seats.
    request_hash    bytea NOT NULL,
    status          integer NOT NULL,
    reservation_id  uuid NOT NULL REFERENCES reservations (id),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Attempts to pay. The row is written before the provider is called; its id is the provider's key.
CREATE TABLE payments (
    id              uuid PRIMARY KEY,
    reservation_id  uuid NOT NULL REFERENCES reservations (id),
    method          text NOT NULL,
    amount          bigint NOT NULL CHECK (amount >= 0),
    currency        text NOT NULL,
    status          text NOT NULL DEFAULT 'started'
                    CHECK (status IN ('started', 'succeeded', 'declined', 'refund_due', 'refunded')),
    started_at      timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    settled_at      timestamptz,
    -- When to ask the provider what became of an attempt without an answer; later and later.
    check_at        timestamptz NOT NULL DEFAULT clock_timestamp() + interval '5 seconds'
);

CREATE INDEX payments_of_reservation ON payments (reservation_id);
-- A reservation is charged by one attempt at a time, and paid by one for ever.
CREATE UNIQUE INDEX payments_one_attempt ON payments (reservation_id) WHERE status IN ('started', 'succeeded');
CREATE INDEX payments_open ON payments (check_at) WHERE status IN ('started', 'refund_due');

-- Results of the provider that were applied. One row per message, so that each counts once.
CREATE TABLE processed_webhooks (
    id           text PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What Redis must be told after a commit; written in the same transaction, kept until it was told.
CREATE TABLE outbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    reservation_id  uuid NOT NULL REFERENCES reservations (id),
    claim_number    integer NOT NULL,
    action          text NOT NULL CHECK (action IN ('reserve', 'free')),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX outbox_of_reservation ON outbox (reservation_id);
