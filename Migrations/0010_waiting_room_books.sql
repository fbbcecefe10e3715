-- The waiting room: rules with a version, leaders with a number, and lobbies whose draw anyone can check.

-- Raised by every change of the queue's rules, so that a leader with older ones lets nobody in after the change.
ALTER TABLE events ADD COLUMN queue_version bigint NOT NULL DEFAULT 1;

-- Each term of a leader has a higher number than the one before, whatever Redis forgot.
CREATE SEQUENCE queue_leader_terms;

-- Passes are ended by time; without this each tick that ends one would read all that are alive.
CREATE INDEX queue_entries_passes ON queue_entries (event_id, expires_at_ms) WHERE state = 'admitted';

-- Whether Redis let them in, and so they may know of their pass. Until then the pass does not end, and a rebuild gives it
-- its whole time anew: a leader that dies after writing an admission must not cost anybody their turn.
ALTER TABLE queue_entries ADD COLUMN let_in boolean NOT NULL DEFAULT false;
UPDATE queue_entries SET let_in = true WHERE state = 'admitted';

-- Set once, when the roster of the lobby is closed; the draw comes after it.
ALTER TABLE queues ADD COLUMN roster_root text;
ALTER TABLE queues ADD COLUMN roster_size bigint NOT NULL DEFAULT 0;

-- A random number that only its owner is shown, for those in a lobby. It keeps the published leaves from telling who is in the lobby.
ALTER TABLE queue_entries ADD COLUMN ticket uuid;
-- The leaf of the roster, from 0 on; NULL for who was not in the lobby when it closed.
ALTER TABLE queue_entries ADD COLUMN leaf bigint;
CREATE INDEX queue_entries_roster ON queue_entries (event_id, leaf) WHERE leaf IS NOT NULL;
