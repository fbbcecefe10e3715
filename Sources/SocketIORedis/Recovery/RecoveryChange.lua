-- RecoveryChange: a session's socket has joined or left a room, or has other data.
--
-- KEYS[2] session
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] "join", "leave" or "data"   ARGV[4] room or JSON, empty for none
-- Returns {epoch, n}. What another owner has is left alone.
local epoch, n = head(ARGV[1])
if redis.call("HGET", KEYS[2], "owner") == ARGV[2] then
    if ARGV[3] == "join" then
        redis.call("HSET", KEYS[2], "r:" .. ARGV[4], digits(n))
    elseif ARGV[3] == "leave" then
        redis.call("HDEL", KEYS[2], "r:" .. ARGV[4])
    elseif ARGV[4] == "" then
        redis.call("HDEL", KEYS[2], "data")
    else
        redis.call("HSET", KEYS[2], "data", ARGV[4])
    end
end
return {epoch, digits(n)}
