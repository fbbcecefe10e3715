-- QueueLeave: take a person out of the line, or end their pass. PostgreSQL has been told before.
--
-- KEYS as in QueueCommon.
-- ARGV[1] user
-- ARGV[2] highest qseq of theirs that is over; a place above it was taken after leaving and stays. 0 for none
-- ARGV[3] the same place if it has just ended, else 0
-- Returns {"rebuild"} when this Redis does not know the queue, else {"ok"}. O(log waiting). Safe to repeat.
if not redis.call("HGET", meta, "epoch") then return {"rebuild"} end
local user, over, ended = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local qseq = tonumber(redis.call("ZSCORE", waiting, user) or redis.call("ZSCORE", away, user)
    or redis.call("ZSCORE", admitting, user) or 0)
if qseq > 0 and qseq <= over then
    redis.call("ZREM", waiting, user)
    redis.call("ZREM", away, user)
    redis.call("ZREM", admitting, user)
    redis.call("ZREM", seen, user)
end
local pass = tonumber(redis.call("HGET", pass_places, user) or 0)
if pass > 0 and pass <= over then end_pass(user) end
-- Remembered even if nobody is in line with it: a delayed join must find the place gone.
for _, place in ipairs({qseq <= over and qseq or 0, ended}) do
    if place > 0 then
        if place > number("max_qseq") then redis.call("HSET", meta, "max_qseq", text(place)) end
        give_up(place)
    end
end
redis.call("SREM", lobby, user)
redis.call("HSET", meta, "changed", 1)
return {"ok"}
