-- NoteSession: keep the lists of everybody's sessions, for counts and pages.
--
-- KEYS[1] everyone  sorted set  "HANDLE USER", scored by expires (ms)   KEYS[2] those of one role, alike
-- ARGV[1] now_ms by the caller's clock: only statistics depend on it
-- ARGV[2] "add", or "move": only those that are listed. A session that ended meanwhile is off the list and stays off.
-- ARGV[3] member   ARGV[4] expires_ms   …and so on
-- Returns 1. O(members × log sessions), besides what it removes.
for _, key in ipairs(KEYS) do
    redis.call("ZREMRANGEBYSCORE", key, "-inf", ARGV[1])
    for position = 3, #ARGV, 2 do
        if ARGV[2] == "add" then
            redis.call("ZADD", key, ARGV[position + 1], ARGV[position])
        else
            redis.call("ZADD", key, "XX", ARGV[position + 1], ARGV[position])
        end
    end
    local last = redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")
    if last[2] then redis.call("PEXPIREAT", key, string.format("%.0f", tonumber(last[2]))) end
end
return 1
