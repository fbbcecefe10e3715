-- FreeSeats: a reservation has expired or was cancelled; its seats are for sale again.
--
-- ARGV[5] claim   ARGV[6…] seats, at least one
-- Returns {"OK", epoch, seq}. O(seats). Safe to repeat, and to run before the MarkReserved it undoes.
expire_due(100)
local claim, seats = ARGV[5], arguments(6)
redis.call("ZADD", FREED, digits(now_ms), claim)
redis.call("ZREMRANGEBYSCORE", FREED, "-inf", digits(now_ms - 3600000))
local claims = redis.call("HMGET", CLAIMS, unpack(seats))
local freed = {}
for i, seat in ipairs(seats) do
    local owner, known = parse_claim(claims[i])
    if known == claim then
        redis.call("HDEL", CLAIMS, seat)
        if redis.call("HINCRBY", CLAIMANTS, owner, -1) <= 0 then redis.call("HDEL", CLAIMANTS, owner) end
        freed[#freed + 1] = seat
    end
end
publish("f", freed)
return {"OK", epoch, seq}
