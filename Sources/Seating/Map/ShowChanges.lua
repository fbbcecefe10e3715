-- ShowChanges: the messages after one that a client has seen.
--
-- ARGV[6] since, a seq
-- Returns {"OK", epoch, seq, {message, …}}, gapless from since + 1, or {"RESET", epoch, seq} when the log does not
-- reach back that far or `since` is none of this event's. O(messages), at most 1,024.
local since = tonumber(ARGV[6])
if since > seq or seq - since > LOG_LENGTH then return {"RESET", epoch, seq} end
if since == seq then return {"OK", epoch, seq, {}} end
local places = {}
for number = since + 1, seq do places[#places + 1] = digits(number % LOG_LENGTH) end
local messages = call("HMGET", LOG, unpack(places))
for i, message in ipairs(messages) do
    -- A life of the state begins with an empty log.
    if not message or string.match(message, "^.(%d+)") ~= digits(since + i) then return {"RESET", epoch, seq} end
end
return {"OK", epoch, seq, messages}
