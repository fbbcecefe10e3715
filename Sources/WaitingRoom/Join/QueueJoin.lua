-- QueueJoin: put people into the line at the places PostgreSQL gave them, and say where they stand.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch that PostgreSQL answered with the places   ARGV[2] now_ms, 0 for the server's clock
-- ARGV[3] channel of newcomers                             ARGV[4] event, as that channel names it
-- ARGV[5…] user, qseq pairs, each user once; qseq 0 for the lobby
-- Returns {"rebuild"} if this Redis knows less than that epoch, else {"ok", summary, standing of each user}, where
-- {"stale"} means that this place is used up: PostgreSQL had not been told yet that its pass ended.
-- O(users log waiting). Safe to repeat: a place that is in line or gone stays so.
local epoch = tonumber(redis.call("HGET", meta, "epoch") or -1)
if epoch < tonumber(ARGV[1]) then return {"rebuild"} end
local now_ms = clock(ARGV[2])
local known = number("max_qseq")
local max_qseq, before = known, front()
local standings, line, signs, newcomers = {}, {}, {}, {}
local users = {}
for index = 5, #ARGV, 2 do users[#users + 1] = ARGV[index] end
local known_passes, known_places = {}, {}
if #users > 0 then
    known_passes = redis.call("HMGET", pass_places, unpack(users))
    for _, line_of in ipairs({waiting, away, admitting}) do
        for index, qseq in ipairs(redis.call("ZMSCORE", line_of, unpack(users))) do
            if qseq and not known_places[index] then known_places[index] = tonumber(qseq) end
        end
    end
end
for index, user in ipairs(users) do
    local qseq = tonumber(ARGV[4 + 2 * index])
    -- A person has one place, the latest that PostgreSQL gave. One that is here with a lower number was given up, and this
    -- Redis has not heard of it.
    local pass = tonumber(known_passes[index] or 0)
    if pass > 0 then
        local expires_at_ms = tonumber(redis.call("ZSCORE", passes, user) or 0)
        if expires_at_ms <= now_ms or (qseq ~= 0 and qseq > pass) then
            end_pass(user)
            pass = 0
        end
    end
    local place = known_places[index] or 0
    if place > 0 and place < qseq then
        redis.call("ZREM", waiting, user)
        redis.call("ZREM", away, user)
        redis.call("ZREM", admitting, user)
        give_up(place)
        place, before = 0, front()
    end
    if pass > 0 then
        standings[#standings + 1] = standing(user, now_ms, before)
    elseif qseq == 0 then
        if redis.call("SADD", lobby, user) == 1 then newcomers[#newcomers + 1] = user end
        signs[#signs + 1] = text(now_ms)
        signs[#signs + 1] = user
        standings[#standings + 1] = {"lobby"}
    elseif qseq > known then
        -- Nobody here has heard of this place, so it is neither gone nor set aside: the way of a rush.
        max_qseq = math.max(max_qseq, qseq)
        line[#line + 1] = text(qseq)
        line[#line + 1] = user
        signs[#signs + 1] = text(now_ms)
        signs[#signs + 1] = user
        newcomers[#newcomers + 1] = user
        standings[#standings + 1] = {"waiting", text(qseq), text(ahead_of(qseq, before))}
    elseif is_gone(qseq) then
        standings[#standings + 1] = {"stale"}
    else
        -- A later place than this one is in line: this one is what was given up, and its join is late.
        if place > qseq then
            give_up(qseq)
            before = front()
        end
        if place == 0 then redis.call("ZADD", waiting, text(qseq), user) end
        touch(user, now_ms)
        standings[#standings + 1] = standing(user, now_ms, before)
    end
end
-- At most 100 pairs come at once; Lua unpacks several thousand.
if #line > 0 then redis.call("ZADD", waiting, unpack(line)) end
if #signs > 0 then redis.call("ZADD", seen, unpack(signs)) end
redis.call("HSET", meta, "max_qseq", text(max_qseq), "changed", 1)
-- Their sockets may be on any instance, and being connected is being there.
if #newcomers > 0 then redis.call("PUBLISH", ARGV[3], "joined " .. ARGV[4] .. " " .. table.concat(newcomers, " ")) end
return {"ok", summary(now_ms), standings}
