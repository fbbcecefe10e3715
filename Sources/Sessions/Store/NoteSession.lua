-- NoteSession: keep the list of everybody's sessions of one role, for counts and pages.
--
-- KEYS[1] everyone  sorted set  "HANDLE USER", scored by expires (ms)
-- ARGV[1] now_ms by the caller's clock: only statistics depend on it   ARGV[2] member   ARGV[3] expires_ms   …and so on
-- Returns 1. O(members × log sessions), besides what it removes.
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", ARGV[1])
for position = 2, #ARGV, 2 do redis.call("ZADD", KEYS[1], ARGV[position + 1], ARGV[position]) end
local last = redis.call("ZREVRANGE", KEYS[1], 0, 0, "WITHSCORES")
if last[2] then redis.call("PEXPIREAT", KEYS[1], string.format("%.0f", tonumber(last[2]))) end
return 1
