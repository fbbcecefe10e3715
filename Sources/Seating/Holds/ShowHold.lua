-- ShowHold: what a person holds.
--
-- ARGV[6] user
-- Returns `answer` with OK. O(seats held).
expire_due(100)
return answer("OK", live_hold(ARGV[6]))
