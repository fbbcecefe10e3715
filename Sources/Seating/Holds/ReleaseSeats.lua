-- ReleaseSeats: give back some or all of the seats a person holds. Seats of others are passed over.
--
-- ARGV[5] user   ARGV[6…] seats; none means all
-- Returns `answer` with OK. O(seats). Safe to repeat.
expire_due(100)
local hold = live_hold(ARGV[5])
if hold then
    local seats = hold.seats
    if #ARGV >= 6 then
        local named = set_of(arguments(6))
        local chosen = {}
        for _, seat in ipairs(seats) do
            if named[seat] then chosen[#chosen + 1] = seat end
        end
        seats = chosen
    end
    drop(hold, seats)
end
return answer("OK", hold)
