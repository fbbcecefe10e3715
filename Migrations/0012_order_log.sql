-- What happened to each order and each hold, for support; and what the operator's other systems are told of it.

-- One row for each step of a reservation, written in the transaction that takes the step. Rows are never changed.
CREATE TABLE order_log (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reservation_id  uuid NOT NULL REFERENCES reservations (id),
    event_id        uuid NOT NULL,
    user_id         text NOT NULL,
    change          text NOT NULL CHECK (change IN
                    ('created', 'paying', 'declined', 'paid', 'expired', 'cancelled', 'refund_due', 'refunded')),
    payment_id      uuid,
    at              timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX order_log_of_user ON order_log (event_id, user_id, id);

INSERT INTO order_log (reservation_id, event_id, user_id, change, at)
SELECT id, event_id, user_id, 'created', created_at FROM reservations ORDER BY created_at;
INSERT INTO order_log (reservation_id, event_id, user_id, change, at)
SELECT id, event_id, user_id, 'paid', paid_at FROM reservations WHERE paid_at IS NOT NULL ORDER BY paid_at;

-- Steps that WEBHOOK_URL is told of. The message's id is the same however often it is sent.
CREATE TABLE webhook_deliveries (
    log_id          bigint PRIMARY KEY REFERENCES order_log (id),
    reservation_id  uuid NOT NULL,
    message_id      uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    status          text NOT NULL DEFAULT 'due' CHECK (status IN ('due', 'delivered', 'parked')),
    attempts        integer NOT NULL DEFAULT 0,
    -- While it is being sent: when another may try, should the sender have died.
    next_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error      text,
    settled_at      timestamptz
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE status = 'due';
CREATE INDEX webhook_deliveries_of_order ON webhook_deliveries (reservation_id, log_id) WHERE status = 'due';
CREATE INDEX webhook_deliveries_parked ON webhook_deliveries (log_id) WHERE status = 'parked';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE status <> 'due';

-- Who does recurring work, until when. Unlike a lease in Redis it is there as long as the work is.
CREATE TABLE leases (
    name    text PRIMARY KEY,
    holder  uuid NOT NULL,
    until   timestamptz NOT NULL
);

-- The outbox is drained event by event.
CREATE INDEX outbox_of_event ON outbox (event_id, id);

-- Every step of every hold. Redis keeps what is not here yet; an entry's id there makes it come here once.
CREATE TABLE seat_history (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id  uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    entry_id  text NOT NULL,
    user_id   text NOT NULL,
    action    text NOT NULL,
    seats     text NOT NULL,
    at_ms     bigint NOT NULL,
    UNIQUE (event_id, entry_id)
);

CREATE INDEX seat_history_of_user ON seat_history (event_id, user_id, id);

-- Deleting an event asks for each of its seats whether somebody ever claimed it.
CREATE INDEX seat_claims_of_seat ON seat_claims (event_id, seat_id);

-- Rises with every change of an event, whoever makes it: an administrator's change may name the one it is based on.
ALTER TABLE events
    ADD COLUMN version    bigint NOT NULL DEFAULT 1,
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();

CREATE FUNCTION events_next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.changed_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER events_version BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION events_next_version();
