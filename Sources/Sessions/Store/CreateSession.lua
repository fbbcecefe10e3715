-- CreateSession: begin a session, ending those of the same user that it displaces, in one step; or find it alive.
--
-- KEYS[1] session  hash        value (sealed), created, seen, expires (ms), count
-- KEYS[2] index    sorted set  handle, scored by expires
-- ARGV[1] handle   ARGV[2] value   ARGV[3] ttl_ms, above 0   ARGV[4] max_sessions, 0 for no limit
-- ARGV[5] policy: allow (past the maximum the oldest ends), replace (all others end), reject (others refuse it)
-- ARGV[6] handle of the session this one takes the place of, or ""
-- ARGV[7] user     ARGV[8] channel for ended sessions
-- ARGV[9] "1" to revive: a live session of this handle is only extended, and with replace another live one wins
-- ARGV[10] created_ms, 0 for now   ARGV[11] now_ms, 0 means the Redis server's clock; only tests pass another
-- Returns {"alive", value, created, seen, expires, count, now} or {"created", created, expires, now, ended handle, …}
-- or {"refused"}. O(sessions of the user). Keys share the tag {user:<id>}; the keys of displaced sessions are made from
-- KEYS[1], which has that tag too.
local handle = ARGV[1]
local ttl_ms = tonumber(ARGV[3])
local now_ms = tonumber(ARGV[11])
if now_ms == 0 then
    local time = redis.call("TIME")
    now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format("%.0f", number) end
local prefix = string.sub(KEYS[1], 1, -#handle - 1)
local revives = ARGV[9] == "1"

redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", text(now_ms))

-- The index lives as long as the last session in it.
local function keep_index()
    local last = redis.call("ZREVRANGE", KEYS[2], 0, 0, "WITHSCORES")
    if last[2] then redis.call("PEXPIREAT", KEYS[2], text(tonumber(last[2]))) end
end

if revives then
    local found = redis.call("HMGET", KEYS[1], "value", "created", "seen", "expires", "count")
    if found[1] and tonumber(found[4]) > now_ms then
        local expires = math.max(tonumber(found[4]), now_ms + ttl_ms)
        redis.call("HSET", KEYS[1], "expires", text(expires))
        redis.call("PEXPIREAT", KEYS[1], text(expires))
        redis.call("ZADD", KEYS[2], text(expires), handle)
        keep_index()
        return {"alive", found[1], found[2], found[3], text(expires), found[5], text(now_ms)}
    end
end

local others = {}
for _, other in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
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
        ages[position] = {other, tonumber(redis.call("HGET", prefix .. other, "created") or "0")}
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
    redis.call("DEL", prefix .. gone[1])
    redis.call("ZREM", KEYS[2], gone[1])
    redis.call("PUBLISH", ARGV[8], cjson.encode({user = ARGV[7], handle = gone[1], reason = gone[2]}))
    reply[#reply + 1] = gone[1]
end
redis.call("HSET", KEYS[1], "value", ARGV[2], "created", text(created), "seen", text(now_ms), "expires", text(expires),
    "count", "0")
redis.call("PEXPIREAT", KEYS[1], text(expires))
redis.call("ZADD", KEYS[2], text(expires), handle)
keep_index()
return reply
