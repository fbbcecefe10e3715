-- TakeBest: add the first group of seats that is wholly free to what a person holds.
--
-- ARGV[5] user   ARGV[6] hold_ms   ARGV[7] max_seats   ARGV[8] open, 1 or 0   ARGV[9] queued, 1 or 0
-- ARGV[10] group size, at least 1   ARGV[11…] groups one after the other, best first, at most 500 seats in all
-- Returns `answer` with OK, CLOSED, PASS, LIMIT or UNAVAILABLE (none of the groups is free). O(seats).
-- Many people want the same best seats at once: choosing among candidates here costs one round trip, not one for each
-- lost race.
expire_due(100)
local user, rules, size, candidates = ARGV[5], rules_from(6), tonumber(ARGV[10]), arguments(11)
local hold = live_hold(user)
local refused = refusal(user, hold and #hold.seats or 0, size, rules)
if refused then return answer(refused, hold) end
local taken = set_of(taken_among(candidates))
local own = set_of(hold and hold.seats or {})
for first = 1, #candidates - size + 1, size do
    local group = {}
    for i = first, first + size - 1 do
        local seat = candidates[i]
        if not taken[seat] and not own[seat] then group[#group + 1] = seat end
    end
    if #group == size then return answer("OK", grant(user, hold, group, rules)) end
end
return answer("UNAVAILABLE", hold)
