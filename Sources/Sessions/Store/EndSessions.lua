-- EndSessions: end one, some or all sessions of a user, and tell every instance.
--
-- KEYS[1] index    sorted set  handle, scored by expires (ms)
-- ARGV[1] prefix of the session keys, with the same tag as KEYS[1]   ARGV[2] user   ARGV[3] channel   ARGV[4] reason
-- ARGV[5] handle to spare, or ""   ARGV[6…] handles to end; none means all in the index
-- Returns {number that were alive, handle, …} with every handle ended. O(sessions of the user).
-- A handle that is named is announced even if its session is gone: its sockets may be there still.
local handles = {}
if #ARGV > 5 then
    for position = 6, #ARGV do handles[#handles + 1] = ARGV[position] end
else
    handles = redis.call("ZRANGE", KEYS[1], 0, -1)
end
local reply = {0}
for _, handle in ipairs(handles) do
    if handle ~= ARGV[5] then
        reply[1] = reply[1] + redis.call("DEL", ARGV[1] .. handle)
        redis.call("ZREM", KEYS[1], handle)
        redis.call("PUBLISH", ARGV[3], cjson.encode({user = ARGV[2], handle = handle, reason = ARGV[4]}))
        reply[#reply + 1] = handle
    end
end
return reply
