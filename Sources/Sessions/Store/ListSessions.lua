-- ListSessions: what is known of a user's live sessions.
--
-- KEYS[1] index    sorted set  handle, scored by expires (ms)
-- ARGV[1] prefix of the session keys, with the same tag as KEYS[1]   ARGV[2] limit
-- ARGV[3] now_ms, 0 means the Redis server's clock; only tests pass another
-- Returns {now, {handle, value, created, seen, expires, count}, …}, latest end first. O(limit).
local now_ms = clock(ARGV[3])
local now = text(now_ms)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
local reply = {now}
for _, handle in ipairs(redis.call("ZREVRANGE", KEYS[1], 0, tonumber(ARGV[2]) - 1)) do
    local found = redis.call("HMGET", ARGV[1] .. handle, "value", "created", "seen", "expires", "count")
    if found[1] and tonumber(found[4]) > now_ms then
        reply[#reply + 1] = {handle, found[1], found[2], found[3], found[4], found[5]}
    end
end
return reply
