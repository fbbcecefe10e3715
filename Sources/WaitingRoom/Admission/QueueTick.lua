-- QueueTick: end passes that are due, choose who goes in next, let in those PostgreSQL has written down, publish.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch of PostgreSQL        ARGV[2] now_ms, 0 for the server's clock
-- ARGV[3] term of the leader         ARGV[4] version of the rules
-- ARGV[5] max_active                 ARGV[6] rate_per_minute
-- ARGV[7] 1 to admit, 0 while paused ARGV[8] away_ms
-- ARGV[9] max chosen and max ended by one tick   ARGV[10] max_scanned
-- ARGV[11] channel                   ARGV[12] 1 to publish even if nothing changed
-- ARGV[13] now_ms of the call that gave them, and ARGV[14…] user, qseq, expires_at_ms of those PostgreSQL has written
--          down since; expires_at_ms 0: it refused, the place is over
-- Returns {"rebuild"} if the epochs differ, {"fenced"} if a later leader has ticked, else
-- {"ok", now_ms, active, total, 1 if the rules are older than known ones, how many passes ended, qseq of each, how many
-- people were let in, qseq of each, how many were passed over, qseq of each, user and qseq of each to be written down}.
-- O((chosen + ended + scanned) log waiting), all bounded. A call that lets people in chooses nobody.
--
-- Limits live here, and whoever is chosen holds a slot and has used up a token, so that no leader, however late, can add
-- to what the one after it chose. A leader that was stopped and goes on meets its own term.
--
-- The message is text, one fact per line, words divided by spaces; see QueueTick.swift.
if redis.call("HGET", meta, "epoch") ~= ARGV[1] then return {"rebuild"} end
if tonumber(ARGV[3]) < number("term") then return {"fenced"} end
local now_ms = clock(ARGV[2])
local max_active, rate, admits = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == "1"
local away_ms, most, most_scanned = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local has_answers = #ARGV > 12
-- Written down longer ago, a pass would be shorter than promised; the next call gives them again.
local late_ms = 1000

-- Rules that are older than the ones an administrator was told are in force let nobody in.
local is_old = tonumber(ARGV[4]) < number("rules")
if is_old then admits = false end
if tonumber(ARGV[4]) > number("rules") then
    -- What was measured under other rules says nothing about these.
    redis.call("HSET", meta, "rules", ARGV[4], "pace_admitted", 0, "pace_ms", 0)
end
redis.call("HSET", meta, "term", ARGV[3])

local ended = redis.call("ZRANGEBYSCORE", passes, "-inf", now_ms, "LIMIT", 0, most)
local ended_places = {}
if #ended > 0 then
    local places, told = redis.call("HMGET", pass_places, unpack(ended)), {}
    for index, user in ipairs(ended) do
        ended_places[index] = places[index] or "0"
        told[index] = "e " .. user
    end
    redis.call("ZREM", passes, unpack(ended))
    redis.call("HDEL", pass_places, unpack(ended))
    redis.call("HDEL", pass_tokens, unpack(ended))
    redis.call("RPUSH", news, unpack(told))
end

-- Everything for many people is one command for all of them: a command from Lua costs more than what it does.
local admitted, let_in = {}, {}
local active = redis.call("ZCARD", passes)
local in_time = has_answers and now_ms - tonumber(ARGV[13]) <= late_ms
local answered, place_of = {}, {}
for index = 14, #ARGV, 3 do answered[#answered + 1] = ARGV[index] end
if #answered > 0 then
    for index, qseq in ipairs(redis.call("ZMSCORE", admitting, unpack(answered))) do place_of[answered[index]] = qseq end
end
local settled, told, now_gone, now_passes, now_places = {}, {}, {}, {}, {}
local known_prefix = number("prefix")
for index = 14, #ARGV, 3 do
    local user, qseq, expires_at_ms = ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2])
    -- Who left meanwhile is not among them any more. Whom the rules keep out now, though chosen before, stays chosen.
    local is_over, goes_in = expires_at_ms == 0, admits and in_time and active < max_active
    if (is_over or goes_in) and place_of[user] == qseq then
        place_of[user] = nil
        settled[#settled + 1] = user
        told[#told + 1] = "g " .. qseq
        if tonumber(qseq) > known_prefix then
            now_gone[#now_gone + 1] = qseq
            now_gone[#now_gone + 1] = qseq
        end
        if goes_in and not is_over then
            now_passes[#now_passes + 1] = text(expires_at_ms)
            now_passes[#now_passes + 1] = user
            now_places[#now_places + 1] = user
            now_places[#now_places + 1] = qseq
            admitted[#admitted + 1] = user .. " " .. text(expires_at_ms)
            let_in[#let_in + 1] = qseq
            active = active + 1
        end
    end
end
if #settled > 0 then
    redis.call("ZREM", admitting, unpack(settled))
    redis.call("ZREM", seen, unpack(settled))
    redis.call("RPUSH", news, unpack(told))
end
if #now_gone > 0 then redis.call("ZADD", gone, unpack(now_gone)) end
if #now_passes > 0 then
    redis.call("ZADD", passes, unpack(now_passes))
    redis.call("HSET", pass_places, unpack(now_places))
end
if #admitted > 0 then redis.call("HINCRBY", meta, "admitted_total", #admitted) end

-- The bucket holds one second's worth, in millionths of an admission so that no fraction is lost between ticks.
local capacity = math.max(1000000, math.floor(rate * 1000000 / 60))
local tokens = redis.call("HGET", meta, "tokens")
if not tokens or tokens == "full" then tokens = capacity else tokens = tonumber(tokens) end
local filled_ms = number("filled_ms")
local passed_ms = 0
if admits and filled_ms > 0 and now_ms > filled_ms then
    passed_ms = now_ms - filled_ms
    tokens = tokens + math.floor(passed_ms * rate * 1000000 / 60000)
end
tokens = math.min(tokens, capacity)

-- The pace of the last half minute or so, of the time in which somebody waited and was let in: thousandths of an
-- admission, and milliseconds, both fading alike.
if total_waiting() > 0 or #admitted > 0 then
    local fade = math.exp(-passed_ms / 30000)
    redis.call("HSET", meta,
        "pace_admitted", text(math.floor(number("pace_admitted") * fade + #admitted * 1000)),
        "pace_ms", text(math.floor(number("pace_ms") * fade + passed_ms)))
end

local chosen = 0
local being_admitted = redis.call("ZCARD", admitting)
local free = math.max(0, max_active - active - being_admitted)
local left = 0
-- After a rebuild nobody has been seen yet. Waiting a moment lets those in front report first. A moment that is more than
-- a minute ahead is one that was past when the clock went back.
local pause_ms = number("hold_until_ms") - now_ms
if admits and not has_answers and (pause_ms <= 0 or pause_ms > 60000) then
    left = math.min(free, math.floor(tokens / 1000000), most - being_admitted)
end
local scanned, passed_over = 0, {}
while left > 0 and scanned < most_scanned do
    local chunk = redis.call("ZRANGE", waiting, 0, 99, "WITHSCORES")
    if #chunk == 0 then break end
    local users = {}
    for index = 1, #chunk, 2 do users[#users + 1] = chunk[index] end
    local signs = redis.call("ZMSCORE", seen, unpack(users))
    local taken, next_in, passed, forgotten = {}, {}, {}, {}
    for index, user in ipairs(users) do
        if left == 0 then break end
        local qseq, seen_ms = chunk[2 * index], tonumber(signs[index] or -away_ms - 1)
        scanned = scanned + 1
        taken[#taken + 1] = user
        if now_ms - seen_ms <= away_ms then
            next_in[#next_in + 1] = qseq
            next_in[#next_in + 1] = user
            tokens = tokens - 1000000
            left = left - 1
            chosen = chosen + 1
        else
            passed[#passed + 1] = qseq
            passed[#passed + 1] = user
            forgotten[#forgotten + 1] = user
            passed_over[#passed_over + 1] = qseq
        end
    end
    redis.call("ZREM", waiting, unpack(taken))
    if #next_in > 0 then redis.call("ZADD", admitting, unpack(next_in)) end
    if #passed > 0 then
        redis.call("ZADD", away, unpack(passed))
        redis.call("ZREM", seen, unpack(forgotten))
    end
end
redis.call("HSET", meta, "tokens", text(tokens), "filled_ms", text(now_ms))

local prefix = advance_prefix()
local total = total_waiting()
local answer = {"ok", text(now_ms), active, text(total), is_old and 1 or 0, #ended_places}
for _, qseq in ipairs(ended_places) do answer[#answer + 1] = qseq end
answer[#answer + 1] = #let_in
for _, qseq in ipairs(let_in) do answer[#answer + 1] = qseq end
answer[#answer + 1] = #passed_over
for _, qseq in ipairs(passed_over) do answer[#answer + 1] = qseq end
local writable = admits and math.min(most, max_active - active) or 0
if writable > 0 then
    for _, word in ipairs(redis.call("ZRANGE", admitting, 0, writable - 1, "WITHSCORES")) do
        answer[#answer + 1] = word
    end
end
-- Those chosen now are let in by the next call, in a moment: one message for both.
if chosen > 0 then return answer end

local gone_now, ended_now = {}, {}
local lines_of_news = redis.call("LRANGE", news, 0, 2999)
if #lines_of_news > 0 then redis.call("LTRIM", news, #lines_of_news, -1) end
for _, line in ipairs(lines_of_news) do
    local list = line:sub(1, 1) == "g" and gone_now or ended_now
    list[#list + 1] = line:sub(3)
end
local changed = #lines_of_news > 0 or redis.call("HDEL", meta, "changed") == 1
if changed or ARGV[12] == "1" then
    local tick = redis.call("HINCRBY", meta, "tick", 1)
    local lines = {
        table.concat({
            "tick", ARGV[1], text(tick), text(prefix), text(total), text(redis.call("SCARD", lobby)), text(active),
            text(now_ms), text(number("pace_admitted")), text(number("pace_ms")),
        }, " "),
    }
    if #gone_now > 0 then lines[#lines + 1] = "gone " .. table.concat(gone_now, " ") end
    if #admitted > 0 then lines[#lines + 1] = "admitted " .. table.concat(admitted, " ") end
    if #ended_now > 0 then lines[#lines + 1] = "ended " .. table.concat(ended_now, " ") end
    redis.call("SPUBLISH", ARGV[11], table.concat(lines, "\n"))
end
return answer
