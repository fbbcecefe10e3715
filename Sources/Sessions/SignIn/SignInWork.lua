-- SignInWork: how much sign-in work one address has asked for within its window.
--
-- KEYS[1] work     integer  expires with its window
-- ARGV[1] amount to add, 0 to ask   ARGV[2] window_ms
-- Returns {amount so far, ms until the window ends}. O(1).
if ARGV[1] == "0" then
    return {tonumber(redis.call("GET", KEYS[1]) or "0"), math.max(redis.call("PTTL", KEYS[1]), 0)}
end
local work = redis.call("INCRBY", KEYS[1], ARGV[1])
if work == tonumber(ARGV[1]) then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
return {work, math.max(redis.call("PTTL", KEYS[1]), 0)}
