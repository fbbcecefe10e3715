-- QueueCommon: what every script of the waiting room begins with. Not a script of its own.
--
-- The place of a person is their qseq, given by PostgreSQL. A qseq is "gone" once its owner was admitted or gave up;
-- gone only grows, so position = qseq - 1 - |gone below qseq| can only fall, in whatever order writes arrive.
--
-- An admission is in PostgreSQL before it counts: the leader's tick chooses people, PostgreSQL writes them down, and
-- only then their places are gone and their passes good. What is announced survives the loss of this Redis.
--
-- KEYS[1]  meta       hash        epoch, loading, loading_ms, prefix, max_qseq, tick, tokens, filled_ms, hold_until_ms,
--                                 admitted_total, changed, term, rules, pace_admitted, pace_ms
-- KEYS[2]  waiting    sorted set  user, scored by qseq: those not known to be away
-- KEYS[3]  away       sorted set  user, scored by qseq: passed over until they are seen again
-- KEYS[4]  seen       sorted set  user, scored by the moment of their last sign of presence
-- KEYS[5]  passes     sorted set  user, scored by expires_at_ms
-- KEYS[6]  pass_places hash       user -> qseq of their pass
-- KEYS[7]  gone       sorted set  qseq above prefix that are gone, scored by itself; all up to prefix are gone
-- KEYS[8]  news       list        "g qseq" and "e user": places gone by leaving, passes ended, not yet published
-- KEYS[9]  admitting  sorted set  user, scored by qseq: chosen, and being written down; they hold a slot and still wait
-- KEYS[10] lobby      set         users who wait for the draw
-- KEYS[11] pass_tokens hash       user -> the signed token of their pass
local meta, waiting, away, seen, passes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local pass_places, gone, news, admitting, lobby = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local pass_tokens = KEYS[11]

-- One clock decides who is away and when a pass ends. Only tests give another.
local function clock(given_ms)
    local now_ms = tonumber(given_ms)
    if now_ms ~= 0 then return now_ms end
    local time = redis.call("TIME")
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function number(field)
    return tonumber(redis.call("HGET", meta, field) or 0) or 0
end

-- Numbers above 10^14 would be written with an exponent.
local function text(value)
    return string.format("%.0f", value)
end

local function is_gone(qseq)
    return qseq <= number("prefix") or redis.call("ZSCORE", gone, text(qseq)) ~= false
end

local function add_gone(qseq)
    if qseq > number("prefix") then redis.call("ZADD", gone, qseq, text(qseq)) end
end

-- A place that its owner gave up: those behind it move forward, and the next tick says so.
local function give_up(qseq)
    if is_gone(qseq) then return end
    add_gone(qseq)
    redis.call("RPUSH", news, "g " .. text(qseq))
end

-- Moves the run that follows the prefix from the set into the prefix. At most 10,000 at once: the rest comes next time.
local function advance_prefix()
    local prefix = number("prefix")
    local before = prefix
    for _ = 1, 50 do
        local run = redis.call("ZRANGE", gone, 0, 199)
        local count = 0
        for index = 1, #run do
            if tonumber(run[index]) > prefix + 1 then break end
            prefix = math.max(prefix, tonumber(run[index]))
            count = index
        end
        if count > 0 then redis.call("ZREMRANGEBYRANK", gone, 0, count - 1) end
        if count < 200 then break end
    end
    if prefix ~= before then redis.call("HSET", meta, "prefix", text(prefix)) end
    return prefix
end

-- How many places are neither gone nor still to be given.
local function total_waiting()
    return math.max(0, number("max_qseq") - number("prefix") - redis.call("ZCARD", gone))
end

local function end_pass(user)
    redis.call("ZREM", passes, user)
    redis.call("HDEL", pass_places, user)
    redis.call("HDEL", pass_tokens, user)
end

-- A sign of presence: whoever was passed over is in line again, in front of all with a higher qseq.
local function touch(user, now_ms)
    local qseq = redis.call("ZSCORE", away, user)
    if qseq then
        redis.call("ZREM", away, user)
        redis.call("ZADD", waiting, qseq, user)
    end
    redis.call("ZADD", seen, now_ms, user)
end

-- What counts places, read once for many people: it holds until a script changes `gone`.
local function front()
    local first, last = redis.call("ZRANGE", gone, 0, 0)[1], redis.call("ZRANGE", gone, -1, -1)[1]
    return {
        prefix = number("prefix"), sparse = redis.call("ZCARD", gone),
        first = tonumber(first or 0), last = tonumber(last or 0),
    }
end

-- How many are before a place. Most are behind, or before, everybody who is gone, and nobody has to be counted.
local function ahead_of(qseq, front)
    local passed = 0
    if qseq > front.last then
        passed = front.sparse
    elseif qseq > front.first then
        passed = redis.call("ZCOUNT", gone, "-inf", "(" .. text(qseq))
    end
    return math.max(0, qseq - 1 - front.prefix - passed)
end

-- Answers {"none"}, {"lobby"}, {"admitted", expires_at_ms} or {"waiting", qseq, ahead}; and whether they were away.
local function standing(user, now_ms, front)
    local expires_at_ms = tonumber(redis.call("ZSCORE", passes, user) or 0)
    if expires_at_ms > now_ms then return {"admitted", text(expires_at_ms)}, false end
    local qseq, is_away = redis.call("ZSCORE", waiting, user), false
    if not qseq then
        qseq = redis.call("ZSCORE", away, user)
        is_away = qseq ~= false
        qseq = qseq or redis.call("ZSCORE", admitting, user)
    end
    if qseq then return {"waiting", qseq, text(ahead_of(tonumber(qseq), front))}, is_away end
    if redis.call("SISMEMBER", lobby, user) == 1 then return {"lobby"}, false end
    return {"none"}, false
end

-- What a person may know about the whole queue, in every answer.
local function summary(now_ms)
    return {
        redis.call("HGET", meta, "epoch") or "0", redis.call("HGET", meta, "tick") or "0", text(number("prefix")),
        text(total_waiting()), redis.call("SCARD", lobby), redis.call("ZCOUNT", passes, "(" .. text(now_ms), "+inf"),
        text(number("admitted_total")), text(number("pace_admitted")), text(number("pace_ms")),
    }
end
