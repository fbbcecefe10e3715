-- ExtendHold: once more the hold's time, a limited number of times.
--
-- ARGV[5] user   ARGV[6] hold_ms   ARGV[7] max_extensions
-- Returns `answer` with OK, NOTHING (no hold) or LIMIT. O(1).
-- Not safe to repeat blindly: a second run is a second extension. The answer's count tells.
expire_due(100)
local hold = live_hold(ARGV[5])
if not hold then return answer("NOTHING", nil) end
if hold.extensions >= tonumber(ARGV[7]) then return answer("LIMIT", hold) end
hold.extensions = hold.extensions + 1
set_clock(hold, hold.expires_ms + tonumber(ARGV[6]))
store_hold(hold)
remember("extended", hold.user, hold.seats)
return answer("OK", hold)
