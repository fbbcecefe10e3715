-- QueueStand: where people stand; asking is a sign of presence of those who wait.
--
-- KEYS as in QueueCommon.
-- ARGV[1] now_ms, 0 for the server's clock   ARGV[2…] users, may be none
-- Returns {"rebuild"} when this Redis does not know the queue, else {"ok", summary, standing of each user}.
-- O(users log waiting). Safe to repeat.
if not redis.call("HGET", meta, "epoch") then return {"rebuild"} end
local now_ms = clock(ARGV[1])
local standings = {}
for index = 2, #ARGV do
    local found = standing(ARGV[index], now_ms)
    if found[1] == "waiting" or found[1] == "lobby" then touch(ARGV[index], now_ms) end
    standings[#standings + 1] = found
end
return {"ok", summary(now_ms), standings}
