-- QueueInspect: what this Redis knows of some people, for the reconciler. Changes nothing, and is no sign of presence.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch of PostgreSQL   ARGV[2] now_ms, 0 for the server's clock   ARGV[3…] users
-- Returns {"rebuild"} in another epoch, else {"ok", now_ms, and two numbers for each user: the place in line, the place
-- of the pass, 0 for none}. O(users).
if redis.call("HGET", meta, "epoch") ~= ARGV[1] then return {"rebuild"} end
local answer = {"ok", text(clock(ARGV[2]))}
for index = 3, #ARGV do
    local user = ARGV[index]
    answer[#answer + 1] = redis.call("ZSCORE", waiting, user) or redis.call("ZSCORE", away, user)
        or redis.call("ZSCORE", admitting, user) or "0"
    answer[#answer + 1] = redis.call("HGET", pass_places, user) or "0"
end
return answer
