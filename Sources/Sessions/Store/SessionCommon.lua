-- SessionCommon: begins every script that makes, looks at or ends sessions.
--
-- A user's keys are made from the prefix "hf:{user:U}:", so they lie in one slot of a Redis Cluster:
--   session:HANDLE  hash        value (sealed), created, seen, expires (ms), count
--   tokens:HANDLE   sorted set  ids of the session's access tokens, scored by when each ends (ms)
--   dead:ID         string      an access token that ended before its time; lives exactly as long as it would have
--   displaced:HANDLE  string    a session that another took the place of, until its refresh token is revoked
--   sessions        sorted set  handle, scored by expires: the user's index
local function text(number) return string.format("%.0f", number) end

-- The Redis server's clock, unless a test gives another.
local function clock(given)
    local now_ms = tonumber(given)
    if now_ms ~= 0 then return now_ms end
    local time = redis.call("TIME")
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A set of things that end lives as long as the last of them.
local function keep_until_last(key)
    local last = redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")
    if last[2] then redis.call("PEXPIREAT", key, text(tonumber(last[2]))) end
end

-- Writes down an access token of a session. More than 256 alive at once is nobody's use of it: the oldest die.
local function note_token(prefix, handle, token, ends_ms, now_ms)
    if token == "" then return end
    local key = prefix .. "tokens:" .. handle
    redis.call("ZREMRANGEBYSCORE", key, "-inf", text(now_ms))
    redis.call("ZADD", key, ends_ms, token)
    while redis.call("ZCARD", key) > 256 do
        local oldest = redis.call("ZPOPMIN", key)
        redis.call("SET", prefix .. "dead:" .. oldest[1], "1", "PXAT", text(tonumber(oldest[2])))
    end
    keep_until_last(key)
end

-- Ends one session and its tokens. Returns its count and seen (both "" when it was not there), and how many tokens
-- were still good.
local function end_session(prefix, handle, now_ms)
    local key = prefix .. "session:" .. handle
    local found = redis.call("HMGET", key, "count", "seen")
    redis.call("DEL", key)
    redis.call("ZREM", prefix .. "sessions", handle)
    local tokens = redis.call("ZRANGEBYSCORE", prefix .. "tokens:" .. handle, "(" .. text(now_ms), "+inf", "WITHSCORES")
    for position = 1, #tokens, 2 do
        redis.call("SET", prefix .. "dead:" .. tokens[position], "1", "PXAT", text(tonumber(tokens[position + 1])))
    end
    redis.call("DEL", prefix .. "tokens:" .. handle)
    return found[1] or "", found[2] or "", #tokens / 2
end

local function announce(channel, user, handle, reason)
    redis.call("PUBLISH", channel, cjson.encode({v = 1, user = user, handle = handle, reason = reason}))
end
