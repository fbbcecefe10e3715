-- Leaving asks for a person's last place, whatever became of it. Without this it read the whole queue: a hundred thousand
-- people who close their browsers at the end of a sale must cost a look each.
CREATE INDEX queue_entries_of_user ON queue_entries (event_id, user_id, qseq);
