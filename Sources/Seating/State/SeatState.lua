-- SeatState: what every script of an event's seats begins with. It is put in front of each action's own text.
--
-- A place is written ordinal:id, as in 4:VIP-1-5, here and in all these keys; messages have the ids alone.
--
-- KEYS[1]  meta       hash        epoch, fence (last grant), seq (last message), due (no hold ends before, in ms)
-- KEYS[2]  holds      hash        place -> user
-- KEYS[3]  holders    hash        user -> the hold, as `store_hold` writes it
-- KEYS[4]  expiry     sorted set  user, scored by expires_at_ms
-- KEYS[5]  warnings   sorted set  user, scored by the moment to warn of the end
-- KEYS[6]  claims     hash        place -> user|claim|order, from the reservation on; no order when read from
--                                 PostgreSQL; |blocked when it is off sale
-- KEYS[7]  claimants  hash        user -> number of places claimed
-- KEYS[8]  log        hash        the last 1,024 messages, each in the place of its seq modulo 1,024
-- KEYS[9]  freed      sorted set  claims given back within the hour, scored by when
-- KEYS[10] map        string      a letter for each place, by ordinal: a available, l held, r claimed
-- KEYS[11] history    stream      what became of holds, until HistoryWriter has moved it to PostgreSQL
-- KEYS[12] passes     sorted set  user, scored by the pass' expires_at_ms; the waiting room's
-- ARGV[1] now_ms   0 means the Redis server's clock; only tests pass another
-- ARGV[2] epoch    the life of the seat state the caller knows   ARGV[3] event id   ARGV[4] channel
-- ARGV[5] actor    the connection that acts, passed on in messages so that it is not told its own news
-- From ARGV[6] on: the action's own.
--
-- Returns {"REBUILD"} when this Redis has lost the state or holds an older life of it, {"EPOCH", epoch} when the state
-- has been rebuilt since the caller looked; both before anything is touched. All keys share the tag {event:<id>}.
local call = redis.call
local META, HOLDS, HOLDERS, EXPIRY, WARNINGS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local CLAIMS, CLAIMANTS, LOG, FREED, MAP = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local HISTORY, PASSES = KEYS[11], KEYS[12]
local WARNING_MS = 60000
local NEVER_MS = 9000000000000000
-- Keeps a message far below what a slow socket may have waiting, and a call below Lua's limit of arguments.
local SEATS_PER_MESSAGE = 500
local LOG_LENGTH = 1024

local now_ms = tonumber(ARGV[1])
if now_ms == 0 then
    -- One clock decides expiry. Application clocks differ by enough to sell a seat twice.
    local time = call("TIME")
    now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end

local meta = call("HMGET", META, "epoch", "seq", "fence", "due")
local epoch, seq, fence, due_ms = tonumber(meta[1]), tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4]) or 0
if not epoch or epoch < tonumber(ARGV[2]) then return {"REBUILD"} end
if epoch > tonumber(ARGV[2]) then return {"EPOCH", epoch} end

-- Lua writes large numbers with an exponent; Redis and JSON want digits.
local function digits(number) return string.format("%d", number) end

local function ordinal_of(place) return tonumber(string.match(place, "^%d+")) end
local function id_of(place) return string.match(place, "^%d+:(.*)$") end

local function json_array(places, from, to)
    local quoted = {}
    for i = from or 1, to or #places do
        local id = id_of(places[i])
        -- Ids have no control characters.
        quoted[#quoted + 1] = string.find(id, '["\\]') and cjson.encode(id) or '"' .. id .. '"'
    end
    return "[" .. table.concat(quoted, ",") .. "]"
end

-- What is written once, when the action is over: messages for the log, then for the channel.
local logged, published, has_changed = {}, {}, false

-- Tells everyone in the seat room; and instances alone whose doing it was, "" if nobody's or several people's.
-- kind: l locked, f free again, r reserved.
local function publish(kind, places, user)
    for from = 1, #places, SEATS_PER_MESSAGE do
        seq = seq + 1
        local number = digits(seq)
        local message = kind .. number .. "\n" .. (user or "") .. "\n" .. ARGV[5] .. '\n{"eventId":"' .. ARGV[3]
            .. '","seatIds":' .. json_array(places, from, math.min(#places, from + SEATS_PER_MESSAGE - 1))
            .. ',"seq":' .. number .. "}"
        logged[#logged + 1] = digits(seq % LOG_LENGTH)
        logged[#logged + 1] = message
        published[#published + 1] = message
    end
    has_changed = has_changed or #places > 0
end

-- Tells one holder. kind: w expiring; the others say that the places are not theirs any more: x expired, t taken by
-- another's order, b taken off sale. Not logged: whoever missed it reads their selection.
local function notify(kind, user, expires_ms, places)
    published[#published + 1] = kind .. user .. "\n" .. digits(expires_ms) .. "\n" .. json_array(places)
end

-- Every action that may have changed something ends with this.
local function done(reply)
    if #logged > 0 then call("HSET", LOG, unpack(logged)) end
    if has_changed then call("HSET", META, "seq", digits(seq), "fence", digits(fence), "due", digits(due_ms)) end
    -- Neither ids nor JSON have the separator.
    if #published > 0 then call("SPUBLISH", ARGV[4], table.concat(published, "\30")) end
    return reply
end

-- Writes a letter for each place; neighbours in one piece.
local function mark(places, letter)
    local first, count = nil, 0
    for _, place in ipairs(places) do
        local at = ordinal_of(place)
        if first and at == first + count then
            count = count + 1
        else
            if first then call("SETRANGE", MAP, first, string.rep(letter, count)) end
            first, count = at, 1
        end
    end
    if first then call("SETRANGE", MAP, first, string.rep(letter, count)) end
end

-- Remembers a step of a hold for support: held, extended, released (by its holder), expired, lost (PostgreSQL gave the
-- seats to another), blocked (an administrator took them off sale). Should nobody move the entries away for long, the
-- oldest go.
local function remember(action, user, places)
    if #places == 0 then return end
    local ids = {}
    for i, place in ipairs(places) do ids[i] = id_of(place) end
    call("XADD", HISTORY, "MAXLEN", "~", 50000, "*", "a", action, "u", user, "s", table.concat(ids, "\n"))
end

-- A hold: user, expires_ms, fence, extensions, request (the last request id that changed it, "-" without one),
-- given (what that request gave), seats.
local function load_hold(user)
    local packed = call("HGET", HOLDERS, user)
    if not packed then return nil end
    local hold = {user = user, seats = {}, given = {}}
    local position = 0
    for field in string.gmatch(packed, "[^\n]+") do
        position = position + 1
        if position == 1 then hold.expires_ms = tonumber(field)
        elseif position == 2 then hold.fence = tonumber(field)
        elseif position == 3 then hold.extensions = tonumber(field)
        elseif position == 4 then
            for part in string.gmatch(field, "[^\t]+") do
                if hold.request then hold.given[#hold.given + 1] = part else hold.request = part end
            end
        else hold.seats[position - 4] = field end
    end
    return hold
end

local function store_hold(hold)
    if #hold.seats == 0 then
        call("HDEL", HOLDERS, hold.user)
        call("ZREM", EXPIRY, hold.user)
        call("ZREM", WARNINGS, hold.user)
        return
    end
    local request = hold.request
    if #hold.given > 0 then request = request .. "\t" .. table.concat(hold.given, "\t") end
    call("HSET", HOLDERS, hold.user, digits(hold.expires_ms) .. "\n" .. digits(hold.fence) .. "\n"
        .. digits(hold.extensions) .. "\n" .. request .. "\n" .. table.concat(hold.seats, "\n"))
end

-- Sets when a hold ends, and when to warn of it: a minute ahead, or when a third is left of a hold under three minutes.
local function set_clock(hold, expires_ms)
    hold.expires_ms = expires_ms
    if expires_ms < due_ms then due_ms, has_changed = expires_ms, true end
    call("ZADD", EXPIRY, digits(expires_ms), hold.user)
    local lead_ms = math.min(WARNING_MS, math.floor((expires_ms - now_ms) / 3))
    call("ZADD", WARNINGS, digits(expires_ms - lead_ms), hold.user)
end

-- Ends holds, and tells everyone in one message, or as few as their length allows.
local function expire_holds(holds)
    local gone = {}
    for _, hold in ipairs(holds) do
        call("HDEL", HOLDS, unpack(hold.seats))
        mark(hold.seats, "a")
        for _, place in ipairs(hold.seats) do gone[#gone + 1] = place end
        hold.ended, hold.seats = hold.seats, {}
        store_hold(hold)
        remember("expired", hold.user, hold.ended)
    end
    publish("f", gone)
    for _, hold in ipairs(holds) do notify("x", hold.user, hold.expires_ms, hold.ended) end
end

-- Ends holds that are due, at most `limit` of them, earliest first. Returns how many.
local function expire_due(limit)
    if now_ms < due_ms then return 0 end
    local due = call("ZRANGEBYSCORE", EXPIRY, "-inf", digits(now_ms), "LIMIT", 0, limit)
    local holds = {}
    for _, user in ipairs(due) do
        local hold = load_hold(user)
        if hold then holds[#holds + 1] = hold else call("ZREM", EXPIRY, user) end
    end
    if #holds > 0 then expire_holds(holds) end
    local next_due = call("ZRANGE", EXPIRY, 0, 0, "WITHSCORES")
    due_ms, has_changed = tonumber(next_due[2]) or NEVER_MS, true
    return #due
end

-- A person's live hold. Their own due hold ends here even when more were due than `expire_due` took.
local function live_hold(user)
    local hold = load_hold(user)
    if hold and hold.expires_ms <= now_ms then
        expire_holds({hold})
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

-- Who holds which of `places`; these leave HOLDS, and the holds with `take_away`.
local function take_holders(places)
    local leaving = {}
    local holders = #places > 0 and call("HMGET", HOLDS, unpack(places)) or {}
    for i, place in ipairs(places) do
        local holder = holders[i]
        if holder then
            leaving[holder] = leaving[holder] or {}
            table.insert(leaving[holder], place)
            call("HDEL", HOLDS, place)
        end
    end
    return leaving
end

-- Ends what people hold of places that PostgreSQL has decided about, and tells everybody but `user`, whose wish it was.
-- action: as in `remember`; kind: as in `notify`.
local function take_away(leaving, action, kind, user)
    for holder, gone in pairs(leaving) do
        local hold = load_hold(holder)
        if hold then
            hold.seats = without(hold.seats, set_of(gone))
            store_hold(hold)
            if holder ~= user then
                remember(action, holder, gone)
                notify(kind, holder, hold.expires_ms, gone)
            end
        end
    end
end

-- Whose claim it is, which one, and its order, 0 if it was read from PostgreSQL; nil, nil, 0 without a claim.
local function parse_claim(packed)
    local user, claim, order = string.match(packed or "", "^([^|]*)|([^|]*)|?(%d*)$")
    return user, claim, tonumber(order) or 0
end

-- Those of `places` that somebody has: claimed, or in the live hold of another.
local function taken_among(places)
    local taken, at = {}, {}
    local low, high = math.huge, 0
    for i, place in ipairs(places) do
        at[i] = ordinal_of(place)
        if at[i] < low then low = at[i] end
        if at[i] > high then high = at[i] end
    end
    if #places == 0 then return taken end
    local letters = call("GETRANGE", MAP, low, high)
    for i, place in ipairs(places) do
        local letter = string.byte(letters, at[i] - low + 1)
        if letter == 108 then
            -- live_hold frees the place when its hold is due.
            local holder = call("HGET", HOLDS, place)
            if holder and live_hold(holder) then taken[#taken + 1] = place end
        elseif letter ~= 97 then
            taken[#taken + 1] = place
        end
    end
    return taken
end

-- The answer of every action: the person's whole new truth, and with a refusal the places refused, else those given.
-- {status, epoch, seq, expires_at_ms, fence, extensions, places, refused}; the times and numbers are 0 without a hold.
local function answer(status, hold, places)
    if not hold or #hold.seats == 0 then return done({status, epoch, seq, 0, 0, 0, {}, places or {}}) end
    return done({status, epoch, seq, hold.expires_ms, hold.fence, hold.extensions, hold.seats, places or {}})
end

-- Whether this is the request that changed the hold last, sent again because its answer was lost.
local function is_repeated(hold, request) return request ~= "" and hold ~= nil and hold.request == request end

-- Why this person may not be given `count` more places beside `kept`, or nil.
-- rules: {hold_ms, max_seats, open, queued, request}
local function refusal(user, kept, count, rules)
    if not rules.open then return "CLOSED" end
    if rules.queued then
        local pass = call("ZSCORE", PASSES, user)
        if not pass or tonumber(pass) <= now_ms then return "PASS" end
    end
    local claimed = tonumber(call("HGET", CLAIMANTS, user) or 0)
    if claimed + kept + count > rules.max_seats then return "LIMIT" end
    return nil
end

-- Gives places that were found free. A hold that is new starts its clock; one that exists keeps it, so that nobody
-- holds a seat for ever by choosing again and again. One fence for the whole hold: the latest grant's.
local function grant(user, hold, places, rules)
    if not hold then
        hold = {user = user, seats = {}, given = {}, extensions = 0, request = "-"}
        set_clock(hold, now_ms + rules.hold_ms)
    end
    local pairs_to_set = {}
    for _, place in ipairs(places) do
        pairs_to_set[#pairs_to_set + 1] = place
        pairs_to_set[#pairs_to_set + 1] = user
        hold.seats[#hold.seats + 1] = place
    end
    call("HSET", HOLDS, unpack(pairs_to_set))
    mark(places, "l")
    if rules.request ~= "" then hold.request, hold.given = rules.request, places end
    fence = fence + 1
    hold.fence = fence
    store_hold(hold)
    remember("held", user, places)
    publish("l", places, user)
    return hold
end

local function arguments(first, last)
    local values = {}
    for i = first, last or #ARGV do values[#values + 1] = ARGV[i] end
    return values
end

-- Five arguments: hold_ms, max_seats, open and queued (1 or 0), request id or nothing.
local function rules_from(first)
    return {
        hold_ms = tonumber(ARGV[first]), max_seats = tonumber(ARGV[first + 1]),
        open = ARGV[first + 2] == "1", queued = ARGV[first + 3] == "1", request = ARGV[first + 4],
    }
end

