-- SeatState: what every script of an event's seats begins with. It is put in front of each action's own text.
--
-- KEYS[1]  meta       hash        epoch, fence (last grant), seq (last message)
-- KEYS[2]  holds      hash        seat -> user
-- KEYS[3]  holders    hash        user -> expires_at_ms \n fence \n extensions \n seat \n seat …
-- KEYS[4]  expiry     sorted set  user, scored by expires_at_ms
-- KEYS[5]  warnings   sorted set  user, scored by the moment to warn of the end
-- KEYS[6]  claims     hash        seat -> user|claim|order, from the reservation on; no order when read from PostgreSQL
-- KEYS[7]  claimants  hash        user -> number of seats claimed
-- KEYS[8]  log        stream      the last messages, about 1,000; an entry's id is its seq
-- KEYS[9]  freed      sorted set  claims given back within the hour, scored by when
-- KEYS[10] passes     sorted set  user, scored by the pass' expires_at_ms; the waiting room's
-- ARGV[1] now_ms   0 means the Redis server's clock; only tests pass another
-- ARGV[2] epoch    the life of the seat state the caller knows   ARGV[3] event id   ARGV[4] channel
-- From ARGV[5] on: the action's own.
--
-- Returns {"REBUILD"} when this Redis has lost the state or holds an older life of it, {"EPOCH", epoch} when the state
-- has been rebuilt since the caller looked; both before anything is touched. All keys share the tag {event:<id>}.
local META, HOLDS, HOLDERS, EXPIRY, WARNINGS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local CLAIMS, CLAIMANTS, LOG, FREED, PASSES = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local WARNING_MS = 60000

local now_ms = tonumber(ARGV[1])
if now_ms == 0 then
    -- One clock decides expiry. Application clocks differ by enough to sell a seat twice.
    local time = redis.call("TIME")
    now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end

local meta = redis.call("HMGET", META, "epoch", "seq")
local epoch, seq = tonumber(meta[1]), tonumber(meta[2])
if not epoch or epoch < tonumber(ARGV[2]) then return {"REBUILD"} end
if epoch > tonumber(ARGV[2]) then return {"EPOCH", epoch} end

-- Lua writes large numbers with an exponent; Redis and JSON want digits.
local function digits(number) return string.format("%.0f", number) end

local function json_array(seats)
    local quoted = {}
    for i, seat in ipairs(seats) do quoted[i] = cjson.encode(seat) end
    return "[" .. table.concat(quoted, ",") .. "]"
end

-- Tells everyone in the seat room. kind: l locked, f free again, r reserved.
local function publish(kind, seats)
    if #seats == 0 then return end
    seq = redis.call("HINCRBY", META, "seq", 1)
    local message = kind .. digits(seq) .. '\n{"eventId":"' .. ARGV[3] .. '","seatIds":' .. json_array(seats)
        .. ',"seq":' .. digits(seq) .. "}"
    redis.call("XADD", LOG, "MAXLEN", "~", 1000, digits(seq) .. "-0", "m", message)
    redis.call("SPUBLISH", ARGV[4], message)
end

-- Tells one holder. kind: x expired, w expiring. Not logged: whoever missed it reads their selection.
local function notify(kind, user, expires_ms, seats)
    redis.call("SPUBLISH", ARGV[4], kind .. user .. "\n" .. digits(expires_ms) .. "\n" .. json_array(seats))
end

local function load_hold(user)
    local packed = redis.call("HGET", HOLDERS, user)
    if not packed then return nil end
    local hold = {user = user, seats = {}}
    local position = 0
    for field in string.gmatch(packed, "[^\n]+") do
        position = position + 1
        if position == 1 then hold.expires_ms = tonumber(field)
        elseif position == 2 then hold.fence = tonumber(field)
        elseif position == 3 then hold.extensions = tonumber(field)
        else hold.seats[position - 3] = field end
    end
    return hold
end

local function store_hold(hold)
    if #hold.seats == 0 then
        redis.call("HDEL", HOLDERS, hold.user)
        redis.call("ZREM", EXPIRY, hold.user)
        redis.call("ZREM", WARNINGS, hold.user)
        return
    end
    redis.call("HSET", HOLDERS, hold.user, digits(hold.expires_ms) .. "\n" .. digits(hold.fence) .. "\n"
        .. digits(hold.extensions) .. "\n" .. table.concat(hold.seats, "\n"))
end

-- Sets when a hold ends, and when to warn of it: a minute ahead, or when a third is left of a hold under three minutes.
local function set_clock(hold, expires_ms)
    hold.expires_ms = expires_ms
    redis.call("ZADD", EXPIRY, digits(expires_ms), hold.user)
    local lead_ms = math.min(WARNING_MS, math.floor((expires_ms - now_ms) / 3))
    redis.call("ZADD", WARNINGS, digits(expires_ms - lead_ms), hold.user)
end

local function expire_hold(hold)
    local seats = hold.seats
    redis.call("HDEL", HOLDS, unpack(seats))
    hold.seats = {}
    store_hold(hold)
    publish("f", seats)
    notify("x", hold.user, hold.expires_ms, seats)
end

-- Ends holds that are due, at most `limit` of them, earliest first. Returns how many.
local function expire_due(limit)
    local due = redis.call("ZRANGEBYSCORE", EXPIRY, "-inf", digits(now_ms), "LIMIT", 0, limit)
    for _, user in ipairs(due) do
        local hold = load_hold(user)
        if hold then expire_hold(hold) else redis.call("ZREM", EXPIRY, user) end
    end
    return #due
end

-- A person's live hold. Their own due hold ends here even when more were due than `expire_due` took.
local function live_hold(user)
    local hold = load_hold(user)
    if hold and hold.expires_ms <= now_ms then
        expire_hold(hold)
        return nil
    end
    return hold
end

local function without(seats, gone)
    local kept = {}
    for _, seat in ipairs(seats) do
        if not gone[seat] then kept[#kept + 1] = seat end
    end
    return kept
end

local function set_of(seats)
    local set = {}
    for _, seat in ipairs(seats) do set[seat] = true end
    return set
end

-- Whose claim it is, which one, and its order, 0 if it was read from PostgreSQL; nil, nil, 0 without a claim.
local function parse_claim(packed)
    local user, claim, order = string.match(packed or "", "^([^|]*)|([^|]*)|?(%d*)$")
    return user, claim, tonumber(order) or 0
end

-- Those of `seats` that somebody has: claimed, or in the live hold of another.
local function taken_among(seats)
    local taken = {}
    local holders = redis.call("HMGET", HOLDS, unpack(seats))
    local claims = redis.call("HMGET", CLAIMS, unpack(seats))
    for i, seat in ipairs(seats) do
        -- live_hold frees the seat when its hold is due.
        if claims[i] or (holders[i] and live_hold(holders[i])) then taken[#taken + 1] = seat end
    end
    return taken
end

-- The answer of every action: the person's whole new truth, and the seats refused.
-- {status, epoch, seq, expires_at_ms, fence, extensions, seats, refused}; the times and numbers are 0 without a hold.
local function answer(status, hold, refused)
    if not hold or #hold.seats == 0 then return {status, epoch, seq, 0, 0, 0, {}, refused or {}} end
    return {status, epoch, seq, hold.expires_ms, hold.fence, hold.extensions, hold.seats, refused or {}}
end

-- Why this person may not be given `count` more seats beside `kept`, or nil.
-- rules: {hold_ms, max_seats, open, queued}
local function refusal(user, kept, count, rules)
    if not rules.open then return "CLOSED" end
    if rules.queued then
        local pass = redis.call("ZSCORE", PASSES, user)
        if not pass or tonumber(pass) <= now_ms then return "PASS" end
    end
    local claimed = tonumber(redis.call("HGET", CLAIMANTS, user) or 0)
    if claimed + kept + count > rules.max_seats then return "LIMIT" end
    return nil
end

-- Gives seats that were found free. A hold that is new starts its clock; one that exists keeps it, so that nobody
-- holds a seat for ever by choosing again and again. One fence for the whole hold: the latest grant's.
local function grant(user, hold, seats, rules)
    if not hold then
        hold = {user = user, seats = {}, extensions = 0}
        set_clock(hold, now_ms + rules.hold_ms)
    end
    local pairs_to_set = {}
    for _, seat in ipairs(seats) do
        pairs_to_set[#pairs_to_set + 1] = seat
        pairs_to_set[#pairs_to_set + 1] = user
        hold.seats[#hold.seats + 1] = seat
    end
    redis.call("HSET", HOLDS, unpack(pairs_to_set))
    hold.fence = redis.call("HINCRBY", META, "fence", 1)
    store_hold(hold)
    publish("l", seats)
    return hold
end

local function drop(hold, seats)
    if #seats == 0 then return end
    redis.call("HDEL", HOLDS, unpack(seats))
    hold.seats = without(hold.seats, set_of(seats))
    store_hold(hold)
    publish("f", seats)
end

local function arguments(first)
    local values = {}
    for i = first, #ARGV do values[#values + 1] = ARGV[i] end
    return values
end

local function rules_from(first)
    return {
        hold_ms = tonumber(ARGV[first]), max_seats = tonumber(ARGV[first + 1]),
        open = ARGV[first + 2] == "1", queued = ARGV[first + 3] == "1",
    }
end

