-- ReleaseLease: give a lease back, so that another may take it at once.
--
-- KEYS[1] lease  string  token of the holder
-- ARGV[1] token
-- Returns 1 when the lease was the caller's, else 0. O(1). Safe to repeat.
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("DEL", KEYS[1])
end
return 0
