-- When somebody's turn last came while they were away, by Redis' clock, in milliseconds since 1970; for support only.
ALTER TABLE queue_entries ADD COLUMN passed_over_at_ms bigint;

-- A person's history also tells what administrators did to the event; the entry's facts name it.
CREATE INDEX audit_log_by_event ON audit_log ((facts->>'event'), audit_id DESC) WHERE facts->>'event' IS NOT NULL;
