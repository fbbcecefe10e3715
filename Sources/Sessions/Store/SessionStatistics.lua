-- SessionStatistics: how many sessions there are and how long they have left on average.
--
-- KEYS[1…] lists   sorted sets "HANDLE USER", scored by expires (ms)
-- Returns {sessions, average ms left, …}, a pair for each list. O(log sessions).
-- The average of up to 100 evenly spaced ranks: exact for 100 sessions or fewer, and within a hundredth of the span
-- between the shortest and the longest life beyond. A running sum would be exact and could drift for ever.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {}
for _, key in ipairs(KEYS) do
    local ended = redis.call("ZCOUNT", key, "-inf", string.format("%.0f", now_ms))
    local count = redis.call("ZCARD", key) - ended
    local sum, samples = 0, math.min(count, 100)
    for sample = 1, samples do
        local rank = ended + math.floor((sample - 0.5) * count / samples)
        sum = sum + tonumber(redis.call("ZRANGE", key, rank, rank, "WITHSCORES")[2]) - now_ms
    end
    reply[#reply + 1] = count
    reply[#reply + 1] = samples == 0 and 0 or math.floor(sum / samples)
end
return reply
