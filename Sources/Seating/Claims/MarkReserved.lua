-- MarkReserved: seats that PostgreSQL has given to a reservation leave the hold and become claims.
--
-- ARGV[6] user   ARGV[7] claim, unique to one taking of the seats   ARGV[8] order, rising with each taking of a seat
-- ARGV[9…] seats, at least one
-- Returns {"OK", epoch, seq}. O(seats). Safe to repeat, also late: a claim given back stays given back, and a later
-- claim of a seat is not undone by the word about an earlier one.
--
-- PostgreSQL has decided, so whoever else holds such a seat here loses it. That takes a hold that ended between the
-- check and the commit, and a quick second person.
expire_due(100)
local user, claim, order, seats = ARGV[6], ARGV[7], tonumber(ARGV[8]), arguments(9)
if call("ZSCORE", FREED, claim) then return done({"OK", epoch, seq}) end
local before = call("HMGET", CLAIMS, unpack(seats))
local marked = {}
for i, seat in ipairs(seats) do
    local owner, former, former_order = parse_claim(before[i])
    if former ~= claim and former_order <= order then
        if owner then
            if call("HINCRBY", CLAIMANTS, owner, -1) <= 0 then call("HDEL", CLAIMANTS, owner) end
        end
        call("HSET", CLAIMS, seat, user .. "|" .. claim .. "|" .. digits(order))
        call("HINCRBY", CLAIMANTS, user, 1)
        marked[#marked + 1] = seat
    end
end
take_away(take_holders(seats), "lost", "t", user)
mark(marked, "r")
publish("r", marked, user)
return done({"OK", epoch, seq})
