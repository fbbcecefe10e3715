-- CreateSession: begin a session, ending those of the same user that it displaces, in one step; or find it alive.
--
-- KEYS[1] index    sorted set  handle, scored by expires; the other keys are made from ARGV[13], with the same tag
-- ARGV[1] handle   ARGV[2] value   ARGV[3] ttl_ms, above 0   ARGV[4] max_sessions, 0 for no limit
-- ARGV[5] policy: allow (past the maximum the oldest ends), replace (all others end), reject (others refuse it)
-- ARGV[6] handle of the session this one takes the place of, or ""
-- ARGV[7] user     ARGV[8] channel for ended sessions
-- ARGV[9] "1" to revive: a live session of this handle is only extended, and with replace another live one wins
-- ARGV[10] created_ms, 0 for now   ARGV[11] now_ms, 0 means the Redis server's clock; only tests pass another
-- ARGV[12] id of its access token, or ""   ARGV[13] prefix of the user's keys   ARGV[14] when that token ends, ms
-- ARGV[15] refresh_ms: how long a displaced session could come back by its refresh token, which is revoked after this
-- script; until that is done, and should it never be, "displaced:HANDLE" keeps it from coming back
-- Returns {"alive", value, created, seen, expires, count, now}
-- or {"created", created, expires, now, [ended handle, count, seen], …} or {"refused"}. O(sessions of the user).
local handle, prefix = ARGV[1], ARGV[13]
local session = prefix .. "session:" .. handle
local ttl_ms = tonumber(ARGV[3])
local now_ms = clock(ARGV[11])
local revives = ARGV[9] == "1"

redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", text(now_ms))

if revives then
    if redis.call("EXISTS", prefix .. "displaced:" .. handle) == 1 then return {"refused"} end
    local found = redis.call("HMGET", session, "value", "created", "seen", "expires", "count")
    if found[1] and tonumber(found[4]) > now_ms then
        local expires = math.max(tonumber(found[4]), now_ms + ttl_ms)
        redis.call("HSET", session, "expires", text(expires))
        redis.call("PEXPIREAT", session, text(expires))
        redis.call("ZADD", KEYS[1], text(expires), handle)
        keep_until_last(KEYS[1])
        note_token(prefix, handle, ARGV[12], ARGV[14], now_ms)
        return {"alive", found[1], found[2], found[3], text(expires), found[5], text(now_ms)}
    end
end

local others = {}
for _, other in ipairs(redis.call("ZRANGE", KEYS[1], 0, -1)) do
    if other ~= ARGV[6] and other ~= handle then others[#others + 1] = other end
end
if #others > 0 and (ARGV[5] == "reject" or (ARGV[5] == "replace" and revives)) then return {"refused"} end

local leaving = {}
if ARGV[6] ~= "" then leaving[1] = {ARGV[6], "session-ended"} end
local max_sessions = tonumber(ARGV[4])
if ARGV[5] == "replace" then
    for _, other in ipairs(others) do leaving[#leaving + 1] = {other, "duplicate-login"} end
elseif max_sessions > 0 and #others >= max_sessions then
    local ages = {}
    for position, other in ipairs(others) do
        ages[position] = {other, tonumber(redis.call("HGET", prefix .. "session:" .. other, "created") or "0")}
    end
    table.sort(ages, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
    for position = 1, #others - max_sessions + 1 do
        leaving[#leaving + 1] = {ages[position][1], "duplicate-login"}
    end
end

local created = tonumber(ARGV[10])
if created == 0 then created = now_ms end
local expires = now_ms + ttl_ms
local reply = {"created", text(created), text(expires), text(now_ms)}
for _, gone in ipairs(leaving) do
    local count, seen = end_session(prefix, gone[1], now_ms)
    announce(ARGV[8], ARGV[7], gone[1], gone[2])
    if gone[2] == "duplicate-login" then
        redis.call("SET", prefix .. "displaced:" .. gone[1], "1", "PX", ARGV[15])
    end
    reply[#reply + 1] = {gone[1], count, seen}
end
redis.call("HSET", session, "value", ARGV[2], "created", text(created), "seen", text(now_ms), "expires", text(expires),
    "count", "0")
redis.call("PEXPIREAT", session, text(expires))
redis.call("ZADD", KEYS[1], text(expires), handle)
keep_until_last(KEYS[1])
note_token(prefix, handle, ARGV[12], ARGV[14], now_ms)
return reply
