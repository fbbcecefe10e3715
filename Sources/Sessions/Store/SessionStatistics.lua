-- SessionStatistics: how many sessions there are and how long they have left on average.
--
-- KEYS[1…] lists   sorted sets "HANDLE USER", scored by expires (ms)
-- ARGV[1] now_ms by the caller's clock
-- Returns {sessions, average ms left, …}, a pair for each list. O(log sessions).
-- The average of up to 100 evenly spaced ranks: exact for 100 sessions or fewer, and within a hundredth of the span
-- between the shortest and the longest life beyond. A running sum would be exact and could drift for ever.
local reply = {}
for _, key in ipairs(KEYS) do
    local ended = redis.call("ZCOUNT", key, "-inf", ARGV[1])
    local count = redis.call("ZCARD", key) - ended
    local sum, samples = 0, math.min(count, 100)
    for sample = 1, samples do
        local rank = ended + math.floor((sample - 0.5) * count / samples)
        sum = sum + tonumber(redis.call("ZRANGE", key, rank, rank, "WITHSCORES")[2]) - tonumber(ARGV[1])
    end
    reply[#reply + 1] = count
    reply[#reply + 1] = samples == 0 and 0 or math.floor(sum / samples)
end
return reply
