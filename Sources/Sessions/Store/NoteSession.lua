-- NoteSession: keep the lists of everybody's sessions, for counts and pages.
--
-- KEYS[1] everyone  sorted set  "HANDLE USER", scored by expires (ms)   KEYS[2] those of one role, alike
-- ARGV[1] "add", or "move": only those that are listed. A session that ended meanwhile is off the list and stays off.
-- ARGV[2] member   ARGV[3] with "add" its life in ms, with "move" expires_ms   …and so on
-- Returns 1. O(members × log sessions), besides what it removes.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format("%.0f", number) end
for _, key in ipairs(KEYS) do
    redis.call("ZREMRANGEBYSCORE", key, "-inf", text(now_ms))
    for position = 2, #ARGV, 2 do
        if ARGV[1] == "add" then
            redis.call("ZADD", key, text(now_ms + ARGV[position + 1]), ARGV[position])
        else
            redis.call("ZADD", key, "XX", ARGV[position + 1], ARGV[position])
        end
    end
    local last = redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")
    if last[2] then redis.call("PEXPIREAT", key, text(tonumber(last[2]))) end
end
return 1
