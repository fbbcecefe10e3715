-- When somebody's turn last came while they were away, by Redis' clock, in milliseconds since 1970; for support only.
ALTER TABLE queue_entries ADD COLUMN passed_over_at_ms bigint;
