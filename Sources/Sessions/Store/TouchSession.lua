-- TouchSession: is the session alive and its token good, what is in it, and use prolongs it. One round trip for every
-- request.
--
-- KEYS[1] session  hash        value (sealed), created, seen, expires (ms), count
-- KEYS[2] index    sorted set  handle, scored by expires
-- KEYS[3] dead     string      there if the access token ended before its time; absent when no token is asked about
-- ARGV[1] handle   ARGV[2] ttl_ms   ARGV[3] threshold_ms: with less than this left the session is extended to ttl_ms
-- ARGV[4] interval_ms: seen and count are written at most once in this time   ARGV[5] accesses to add, not yet counted
-- ARGV[6] now_ms, 0 means the Redis server's clock; only tests pass another
-- Returns nil when there is no such session, 0 when the token is dead,
-- else {value, "created seen expires count now slid counted"}: two strings cost the reader less than eight.
-- O(log sessions of the user) when it writes, O(1) otherwise. Keys share the tag {user:<id>}.
local found = redis.call("HMGET", KEYS[1], "value", "created", "seen", "expires", "count")
if not found[1] then return false end
if KEYS[3] and redis.call("EXISTS", KEYS[3]) == 1 then return 0 end
local now_ms = clock(ARGV[6])
local seen, expires, count = tonumber(found[3]), tonumber(found[4]), tonumber(found[5])
-- The key's own expiry may lag behind the clock while a script runs.
if expires <= now_ms then return false end

local slid, counted = 0, 0
if expires - now_ms < tonumber(ARGV[3]) and now_ms + tonumber(ARGV[2]) > expires then
    expires = now_ms + tonumber(ARGV[2])
    redis.call("HSET", KEYS[1], "expires", text(expires))
    redis.call("PEXPIREAT", KEYS[1], text(expires))
    redis.call("ZADD", KEYS[2], text(expires), ARGV[1])
    keep_until_last(KEYS[2])
    slid = 1
end
if tonumber(ARGV[5]) > 0 and (now_ms - seen >= tonumber(ARGV[4]) or count == 0) then
    seen = now_ms
    count = count + tonumber(ARGV[5])
    redis.call("HSET", KEYS[1], "seen", text(seen), "count", text(count))
    counted = 1
end
local numbers = {found[2], text(seen), text(expires), text(count), text(now_ms), slid, counted}
return {found[1], table.concat(numbers, " ")}
