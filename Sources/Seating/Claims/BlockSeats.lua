-- BlockSeats: take seats off sale, or put them back, as PostgreSQL has decided.
--
-- ARGV[6] block, 1 or 0   ARGV[7…] seats, at least one
-- Returns {"OK", epoch, seq}. O(seats). Safe to repeat. A seat of a reservation stays as it is; whoever holds a seat that
-- is blocked loses it.
expire_due(100)
local seats = arguments(7)
local claims = call("HMGET", CLAIMS, unpack(seats))
local changed = {}
for i, seat in ipairs(seats) do
    if ARGV[6] == "1" and not claims[i] then
        call("HSET", CLAIMS, seat, "|blocked")
        changed[#changed + 1] = seat
    elseif ARGV[6] == "0" and claims[i] == "|blocked" then
        call("HDEL", CLAIMS, seat)
        changed[#changed + 1] = seat
    end
end
if ARGV[6] == "1" then take_away(take_holders(changed), "blocked", "b") end
mark(changed, ARGV[6] == "1" and "r" or "a")
publish(ARGV[6] == "1" and "r" or "f", changed)
return done({"OK", epoch, seq})
