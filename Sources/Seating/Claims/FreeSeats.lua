-- FreeSeats: a reservation has expired or was cancelled; its seats are for sale again.
--
-- ARGV[6] claim   ARGV[7…] seats, at least one
-- Returns {"OK", epoch, seq}. O(seats). Safe to repeat, and to run before the MarkReserved it undoes.
expire_due(100)
local claim, seats = ARGV[6], arguments(7)
call("ZADD", FREED, digits(now_ms), claim)
call("ZREMRANGEBYSCORE", FREED, "-inf", digits(now_ms - 3600000))
local claims = call("HMGET", CLAIMS, unpack(seats))
local freed, last_owner = {}, nil
for i, seat in ipairs(seats) do
    local owner, known = parse_claim(claims[i])
    if known == claim then
        call("HDEL", CLAIMS, seat)
        if call("HINCRBY", CLAIMANTS, owner, -1) <= 0 then call("HDEL", CLAIMANTS, owner) end
        freed[#freed + 1] = seat
        last_owner = owner
    end
end
mark(freed, "a")
publish("f", freed, last_owner)
return done({"OK", epoch, seq})
