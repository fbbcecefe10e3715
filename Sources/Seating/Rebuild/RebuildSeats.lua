-- RebuildSeats: begin a new life of an event's seat state with the claims that PostgreSQL knows. Holds are gone.
--
-- KEYS[1…9] as in SeatState
-- ARGV[1] epoch, just raised in PostgreSQL   ARGV[2] seq to count on from   ARGV[3] channel
-- ARGV[4…] pairs of seat and user|claim
-- Returns {"OK"} or, when a newer life is there already, {"OLD"}. O(claims): 100,000 take about 0.1 s.
-- One script, so nobody ever sees half of a state.
local known = tonumber(redis.call("HGET", KEYS[1], "epoch") or 0)
if known >= tonumber(ARGV[1]) then return {"OLD"} end
for i = 1, 9 do redis.call("DEL", KEYS[i]) end
local counts = {}
local batch = {}
for i = 4, #ARGV, 2 do
    batch[#batch + 1] = ARGV[i]
    batch[#batch + 1] = ARGV[i + 1]
    local user = string.match(ARGV[i + 1], "^[^|]*")
    counts[user] = (counts[user] or 0) + 1
    if #batch >= 2000 then
        redis.call("HSET", KEYS[6], unpack(batch))
        batch = {}
    end
end
if #batch > 0 then redis.call("HSET", KEYS[6], unpack(batch)) end
for user, count in pairs(counts) do redis.call("HSET", KEYS[7], user, count) end
redis.call("HSET", KEYS[1], "epoch", ARGV[1], "fence", 0, "seq", ARGV[2])
redis.call("PUBLISH", ARGV[3], "z" .. ARGV[2])
return {"OK"}
