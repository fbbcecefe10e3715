-- WrongPassword: count a wrong password against an account, or ask how many there were.
--
-- KEYS[1] wrong    integer  wrong passwords from places where the owner never signed in; expires with its window
-- KEYS[2] known    hash     hash of an address of the owner -> "COUNT UNTIL_MS", wrong passwords from there
-- ARGV[1] address, hashed   ARGV[2] window_ms   ARGV[3] action: ask, wrong, right
-- Returns {count, ms until the window ends}. O(1), and O(addresses), at most 16, for a new address.
-- An address from which the owner has signed in is counted for itself: a stranger elsewhere cannot lock the owner out.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format("%.0f", number) end
local window_ms = tonumber(ARGV[2])
local entry = redis.call("HGET", KEYS[2], ARGV[1])

if ARGV[3] == "right" then
    if not entry and redis.call("HLEN", KEYS[2]) >= 16 then
        redis.call("HDEL", KEYS[2], redis.call("HKEYS", KEYS[2])[1])
    end
    redis.call("HSET", KEYS[2], ARGV[1], "0 0")
    redis.call("EXPIRE", KEYS[2], 30 * 24 * 3600)
    return {0, 0}
end

if entry then
    local count, until_ms = string.match(entry, "^(%d+) (%d+)$")
    count, until_ms = tonumber(count), tonumber(until_ms)
    -- A window that ends later than one that begins now was begun before the clock went back.
    if until_ms <= now_ms or until_ms > now_ms + window_ms then count, until_ms = 0, now_ms + window_ms end
    if ARGV[3] == "wrong" then
        count = count + 1
        redis.call("HSET", KEYS[2], ARGV[1], count .. " " .. text(until_ms))
    end
    return {count, until_ms - now_ms}
end

local count = tonumber(redis.call("GET", KEYS[1]) or "0")
if ARGV[3] == "wrong" then
    count = redis.call("INCR", KEYS[1])
    if count == 1 then redis.call("PEXPIRE", KEYS[1], text(window_ms)) end
end
return {count, math.max(redis.call("PTTL", KEYS[1]), 0)}
