-- EndSessions: end one, some or all sessions of a user with their access tokens, and tell every instance.
--
-- KEYS[1] index    sorted set  handle, scored by expires (ms)
-- ARGV[1] prefix of the user's keys, with the same tag as KEYS[1]   ARGV[2] user   ARGV[3] channel   ARGV[4] reason
-- ARGV[5] handle to spare, or ""   ARGV[6] now_ms, 0 means the Redis server's clock; only tests pass another
-- ARGV[7…] handles to end; none means all in the index
-- Returns {tokens that were good, {handle, count, seen}, …} with every handle ended; count and seen are "" for one that
-- was not alive. O(sessions of the user).
-- A handle that is named is announced even if its session is gone: its sockets may be there still.
local now_ms = clock(ARGV[6])
local handles = {}
if #ARGV > 6 then
    for position = 7, #ARGV do handles[#handles + 1] = ARGV[position] end
else
    handles = redis.call("ZRANGE", KEYS[1], 0, -1)
end
local reply = {0}
for _, handle in ipairs(handles) do
    if handle ~= ARGV[5] then
        local count, seen, tokens = end_session(ARGV[1], handle, now_ms)
        reply[1] = reply[1] + tokens
        announce(ARGV[3], ARGV[2], handle, ARGV[4])
        reply[#reply + 1] = {handle, count, seen}
    end
end
return reply
