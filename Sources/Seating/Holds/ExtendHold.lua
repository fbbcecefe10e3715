-- ExtendHold: once more the hold's time, a limited number of times.
--
-- ARGV[6] user   ARGV[7] hold_ms   ARGV[8] max_extensions   ARGV[9] request id or nothing
-- Returns `answer` with OK, NOTHING (no hold) or LIMIT. O(1). Safe to repeat with the same request id.
expire_due(100)
local hold, request = live_hold(ARGV[6]), ARGV[9]
if not hold then return answer("NOTHING", nil) end
if is_repeated(hold, request) then return answer("OK", hold) end
if hold.extensions >= tonumber(ARGV[8]) then return answer("LIMIT", hold) end
hold.extensions = hold.extensions + 1
if request ~= "" then hold.request, hold.given = request, {} end
set_clock(hold, hold.expires_ms + tonumber(ARGV[7]))
store_hold(hold)
-- Seats moved nowhere; only the person's other connections have news.
published[#published + 1] = "e" .. hold.user .. "\n" .. ARGV[5]
return answer("OK", hold)
