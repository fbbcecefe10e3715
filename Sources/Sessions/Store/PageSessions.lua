-- PageSessions: a page of a list of everybody's sessions, those that end first at its head.
--
-- KEYS[1] list     sorted set  "HANDLE USER", scored by expires (ms)
-- ARGV[1] limit
-- ARGV[2], ARGV[3] score and member after which the page begins, or "" both
-- Returns {sessions in all, score, member, …}. O(log sessions + limit), and at most 1,000 looked at where many sessions
-- end in one millisecond and the one of the cursor is gone.
-- In this order a session that is extended while somebody turns the pages comes again further on; none is left out.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local ended = redis.call("ZCOUNT", KEYS[1], "-inf", string.format("%.0f", now_ms))
local start = ended
if ARGV[3] ~= "" then
    local rank = redis.call("ZRANK", KEYS[1], ARGV[3])
    local score = rank and redis.call("ZSCORE", KEYS[1], ARGV[3])
    if score and tonumber(score) == tonumber(ARGV[2]) then
        start = rank + 1
    else
        start = redis.call("ZCOUNT", KEYS[1], "-inf", "(" .. ARGV[2])
        for _, member in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[2], ARGV[2], "LIMIT", 0, 1000)) do
            if member > ARGV[3] then break end
            start = start + 1
        end
    end
    if start < ended then start = ended end
end
local page = redis.call("ZRANGE", KEYS[1], start, start + tonumber(ARGV[1]) - 1, "WITHSCORES")
local reply = {redis.call("ZCARD", KEYS[1]) - ended}
for position = 1, #page, 2 do
    reply[#reply + 1] = string.format("%.0f", tonumber(page[position + 1]))
    reply[#reply + 1] = page[position]
end
return reply
