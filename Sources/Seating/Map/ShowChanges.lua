-- ShowChanges: the messages after one that a client has seen.
--
-- ARGV[6] since, a seq
-- Returns {"OK", epoch, seq, {message, …}}, gapless from since + 1, or {"RESET", epoch, seq} when the log does not
-- reach back that far or `since` is none of this event's. O(messages), at most about 1,100.
local since = tonumber(ARGV[6])
if since > seq then return {"RESET", epoch, seq} end
if since == seq then return {"OK", epoch, seq, {}} end
local entries = redis.call("XRANGE", LOG, digits(since + 1) .. "-0", "+", "COUNT", 2000)
if #entries ~= seq - since then return {"RESET", epoch, seq} end
local messages = {}
for i, entry in ipairs(entries) do messages[i] = entry[2][2] end
return {"OK", epoch, seq, messages}
