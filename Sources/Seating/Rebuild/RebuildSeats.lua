-- RebuildSeats: begin a new life of an event's seat state with the claims that PostgreSQL knows. Holds are gone.
--
-- KEYS[1…11] as in SeatState; places are written as there; the history of holds, KEYS[11], outlives them
-- ARGV[1] step   ARGV[2] epoch, just raised in PostgreSQL
--   begin   ARGV[3] how many places the event has. Ends the life that is there. Sent before PostgreSQL is read: what is
--           committed after the reading can then be told only to the new life, and is not lost with the old one.
--   claims  ARGV[3…] pairs of place and user|claim, or |blocked; at most 500 pairs
--   finish  ARGV[3] seq to count on from   ARGV[4] channel, empty if there was no life before
--           ARGV[5] how many claims were sent
-- Returns {"OK"}, or {"OLD"} when a newer life is there or on its way, or a step was lost. O(pairs), a millisecond a step.
-- Nobody sees half of a state: it has no epoch before the last step, and without one nobody acts on it. Steps that a
-- failover lost leave it so, and the next visitor begins again.
local epoch = tonumber(ARGV[2])
local known = redis.call("HMGET", KEYS[1], "epoch", "rebuilding", "loaded")
if tonumber(known[1] or 0) >= epoch or tonumber(known[2] or 0) > epoch then return {"OLD"} end
if ARGV[1] == "begin" then
    for i = 1, 10 do redis.call("UNLINK", KEYS[i]) end
    redis.call("HSET", KEYS[1], "rebuilding", ARGV[2], "loaded", 0)
    if tonumber(ARGV[3]) > 0 then redis.call("SET", KEYS[10], string.rep("a", tonumber(ARGV[3]))) end
    return {"OK"}
end
if tonumber(known[2] or 0) ~= epoch then return {"OLD"} end
if ARGV[1] == "finish" then
    if known[3] ~= ARGV[5] then return {"OLD"} end
    redis.call("HDEL", KEYS[1], "rebuilding", "loaded")
    redis.call("HSET", KEYS[1], "epoch", ARGV[2], "fence", 0, "seq", ARGV[3], "due", 0)
    if ARGV[4] ~= "" then redis.call("SPUBLISH", ARGV[4], "z" .. ARGV[3]) end
    return {"OK"}
end
local claims = {}
for i = 3, #ARGV, 2 do
    claims[#claims + 1] = ARGV[i]
    claims[#claims + 1] = ARGV[i + 1]
    redis.call("SETRANGE", KEYS[10], string.match(ARGV[i], "^%d+"), "r")
    local user = string.match(ARGV[i + 1], "^[^|]*")
    if user ~= "" then redis.call("HINCRBY", KEYS[7], user, 1) end
end
redis.call("HSET", KEYS[6], unpack(claims))
redis.call("HINCRBY", KEYS[1], "loaded", #claims / 2)
return {"OK"}
