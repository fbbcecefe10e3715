-- ReleaseSeats: give back some or all of the seats a person holds. Seats of others are passed over.
--
-- ARGV[6] user   ARGV[7…] seats; none means all
-- Returns `answer` with OK. O(seats). Safe to repeat.
expire_due(100)
local hold = live_hold(ARGV[6])
if hold then
    local seats = hold.seats
    if #ARGV >= 7 then
        local named = set_of(arguments(7))
        local chosen = {}
        for _, seat in ipairs(seats) do
            if named[seat] then chosen[#chosen + 1] = seat end
        end
        seats = chosen
    end
    if #seats > 0 then
        call("HDEL", HOLDS, unpack(seats))
        mark(seats, "a")
        hold.seats = without(hold.seats, set_of(seats))
        store_hold(hold)
        publish("f", seats, hold.user)
    end
end
return answer("OK", hold)
