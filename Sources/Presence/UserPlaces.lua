-- UserPlaces: note where a user is, forget it, or only that they are still active.
--
-- KEYS[1] state   hash  eventId, queueEventId, seatEventId, lastActivity (ms)
-- ARGV[1] action  "enter", "leave" or "touch"
-- ARGV[2] ttl_ms  above 0: the state's life after this activity
-- ARGV[3] field   with "enter" and "leave"
-- ARGV[4] event   with "enter" and "leave"
-- Returns 1, or 0 when there was nothing to leave or touch. O(1). Safe to repeat.
local action, ttl_ms = ARGV[1], ARGV[2]
if action == "leave" then
    -- A second tab may have gone on to another event meanwhile; that one stays.
    if redis.call("HGET", KEYS[1], ARGV[3]) ~= ARGV[4] then
        return 0
    end
    redis.call("HDEL", KEYS[1], ARGV[3])
elseif action == "touch" and redis.call("EXISTS", KEYS[1]) == 0 then
    return 0
end
if action == "enter" then
    redis.call("HSET", KEYS[1], ARGV[3], ARGV[4])
end
local time = redis.call("TIME")
redis.call("HSET", KEYS[1], "lastActivity", time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("PEXPIRE", KEYS[1], ttl_ms)
return 1
