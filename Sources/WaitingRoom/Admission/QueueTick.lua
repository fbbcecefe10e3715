-- QueueTick: end passes that are due, let in as many as slots and rate allow, and publish what changed.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch of PostgreSQL        ARGV[2] now_ms, 0 for the server's clock
-- ARGV[3] max_active                 ARGV[4] rate_per_minute
-- ARGV[5] 1 to admit, 0 while paused ARGV[6] pass_ms
-- ARGV[7] away_ms                    ARGV[8] max_admitted and max_ended by one tick
-- ARGV[9] max_scanned                ARGV[10] channel   ARGV[11] 1 to publish even if nothing changed
-- Returns {"rebuild"} if the epochs differ, else {"ok", admitted, ended, undurable, active, total}.
-- O((admitted + ended + scanned) log waiting), all bounded. Limits live here, so two leaders at once keep them too.
--
-- The message is text, one fact per line, words divided by spaces; see QueueTick.swift.
if redis.call("HGET", meta, "epoch") ~= ARGV[1] then return {"rebuild"} end
local now_ms = clock(ARGV[2])
local max_active, rate, admits = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == "1"
local pass_ms, away_ms, most, most_scanned = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local gone_now, admitted, ended = {}, {}, {}

for _, user in ipairs(redis.call("ZRANGEBYSCORE", passes, "-inf", now_ms, "LIMIT", 0, most)) do
    end_pass(user)
    ended[#ended + 1] = user
end

-- The bucket holds one second's worth, in millionths of an admission so that no fraction is lost between ticks.
local capacity = math.max(1000000, math.floor(rate * 1000000 / 60))
local tokens = redis.call("HGET", meta, "tokens")
if not tokens or tokens == "full" then tokens = capacity else tokens = tonumber(tokens) end
local filled_ms = number("filled_ms")
if admits and filled_ms > 0 and now_ms > filled_ms then
    tokens = tokens + math.floor((now_ms - filled_ms) * rate * 1000000 / 60000)
end
tokens = math.min(tokens, capacity)

local free = math.max(0, max_active - redis.call("ZCARD", passes))
local left = 0
-- After a rebuild nobody has been seen yet. Waiting a moment lets those in front report first.
if admits and now_ms >= number("hold_until_ms") then left = math.min(free, math.floor(tokens / 1000000), most) end
local scanned = 0
local expires_at_ms = now_ms + pass_ms
while left > 0 and scanned < most_scanned do
    local chunk = redis.call("ZRANGE", waiting, 0, 99, "WITHSCORES")
    if #chunk == 0 then break end
    for index = 1, #chunk, 2 do
        if left == 0 then break end
        local user, qseq = chunk[index], chunk[index + 1]
        local seen_ms = tonumber(redis.call("ZSCORE", seen, user) or -away_ms - 1)
        scanned = scanned + 1
        redis.call("ZREM", waiting, user)
        redis.call("ZREM", seen, user)
        if now_ms - seen_ms <= away_ms then
            redis.call("ZADD", passes, expires_at_ms, user)
            redis.call("HSET", pass_places, user, qseq)
            add_gone(tonumber(qseq))
            remember("a|" .. user .. "|" .. qseq .. "|" .. text(now_ms) .. "|" .. text(expires_at_ms))
            gone_now[#gone_now + 1] = qseq
            admitted[#admitted + 1] = user
            tokens = tokens - 1000000
            left = left - 1
        else
            redis.call("ZADD", away, qseq, user)
        end
    end
end
redis.call("HSET", meta, "tokens", text(tokens), "filled_ms", text(now_ms))
if #admitted > 0 then redis.call("HINCRBY", meta, "admitted_total", #admitted) end

local leavers = redis.call("LRANGE", delta, 0, 1999)
if #leavers > 0 then redis.call("LTRIM", delta, #leavers, -1) end
for _, qseq in ipairs(leavers) do gone_now[#gone_now + 1] = qseq end
local prefix = advance_prefix()
local total, active = total_waiting(), redis.call("ZCARD", passes)
local changed = #gone_now > 0 or #ended > 0 or redis.call("HDEL", meta, "changed") == 1
if changed or ARGV[11] == "1" then
    local tick = redis.call("HINCRBY", meta, "tick", 1)
    local lines = {
        table.concat({
            "tick", ARGV[1], text(tick), text(prefix), text(total), text(redis.call("SCARD", lobby)), text(active),
            text(now_ms),
        }, " "),
    }
    if #gone_now > 0 then lines[#lines + 1] = "gone " .. table.concat(gone_now, " ") end
    if #admitted > 0 then
        lines[#lines + 1] = "admitted " .. text(expires_at_ms) .. " " .. table.concat(admitted, " ")
    end
    if #ended > 0 then lines[#lines + 1] = "ended " .. table.concat(ended, " ") end
    redis.call("SPUBLISH", ARGV[10], table.concat(lines, "\n"))
end
return {"ok", #admitted, #ended, redis.call("ZCARD", undurable), active, text(total)}
