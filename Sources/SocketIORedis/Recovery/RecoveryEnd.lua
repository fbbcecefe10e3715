-- RecoveryEnd: the connection of a session is gone.
--
-- KEYS[2] session   KEYS[3] directs
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] ttl_ms from now, 0 if the client may not come back
-- ARGV[4] data, empty for none
-- Returns {epoch, n}. What another owner has is left alone.
local epoch, n = head(ARGV[1])
if redis.call("HGET", KEYS[2], "owner") == ARGV[2] then
    if ARGV[3] == "0" then
        redis.call("DEL", KEYS[2], KEYS[3])
    else
        redis.call("HSET", KEYS[2], "open", 0)
        if ARGV[4] == "" then
            redis.call("HDEL", KEYS[2], "data")
        else
            redis.call("HSET", KEYS[2], "data", ARGV[4])
        end
        redis.call("PEXPIRE", KEYS[2], ARGV[3])
    end
end
return {epoch, digits(n)}
