-- QueueJoin: put people into the line at the places PostgreSQL gave them, and say where they stand.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch that PostgreSQL answered with the places   ARGV[2] now_ms, 0 for the server's clock
-- ARGV[3…] user, qseq pairs; qseq 0 for the lobby
-- Returns {"rebuild"} if this Redis knows less than that epoch, else {"ok", summary, standing of each user}, where
-- {"stale"} means that this place is used up: PostgreSQL had not been told yet that its pass ended.
-- O(users log waiting). Safe to repeat: a place that is in line or gone stays so.
local epoch = tonumber(redis.call("HGET", meta, "epoch") or -1)
if epoch < tonumber(ARGV[1]) then return {"rebuild"} end
local now_ms = clock(ARGV[2])
local standings = {}
local max_qseq = number("max_qseq")
for index = 3, #ARGV, 2 do
    local user, qseq = ARGV[index], tonumber(ARGV[index + 1])
    local expires_at_ms = tonumber(redis.call("ZSCORE", passes, user) or 0)
    if expires_at_ms > 0 and expires_at_ms <= now_ms then end_pass(user) end
    if expires_at_ms > now_ms then
        standings[#standings + 1] = standing(user, now_ms)
    elseif qseq == 0 then
        redis.call("SADD", lobby, user)
        touch(user, now_ms)
        standings[#standings + 1] = standing(user, now_ms)
    elseif is_gone(qseq) then
        standings[#standings + 1] = {"stale"}
    else
        max_qseq = math.max(max_qseq, qseq)
        if not redis.call("ZSCORE", away, user) then redis.call("ZADD", waiting, qseq, user) end
        touch(user, now_ms)
        standings[#standings + 1] = {"waiting", text(qseq), false}
    end
end
redis.call("HSET", meta, "max_qseq", text(max_qseq), "changed", 1)
-- Positions once all of the batch are in: none of them depends on the others, but the total does.
for index = 1, #standings do
    if standings[index][1] == "waiting" and not standings[index][3] then
        standings[index] = standing(ARGV[1 + index * 2], now_ms)
    end
end
return {"ok", summary(), standings}
