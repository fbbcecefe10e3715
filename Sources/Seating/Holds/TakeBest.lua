-- TakeBest: add the first group of seats that is wholly free to what a person holds.
--
-- ARGV[6] user   ARGV[7…11] rules, see `rules_from`   ARGV[12] geometry of the sections, see Orphans; empty when the groups
-- may leave single seats   ARGV[13] group size, at least 1   ARGV[14…] groups one after the other, best first, at most
-- 500 seats in all
-- Returns `answer` with OK and the seats given, CLOSED, PASS, LIMIT or UNAVAILABLE (none of the groups can be had).
-- O(seats). Safe to repeat with the same request id.
-- Many people want the same best seats at once: choosing among candidates here costs one round trip, not one for each
-- lost race.
expire_due(100)
local user, rules, size, candidates = ARGV[6], rules_from(7), tonumber(ARGV[13]), arguments(14)
local geometry = geometry_from(ARGV[12])
local hold = live_hold(user)
if is_repeated(hold, rules.request) then return answer("OK", hold, hold.given) end
local held = hold and hold.seats or {}
local refused = refusal(user, #held, size, rules)
if refused then return answer(refused, hold) end
local taken, own = set_of(taken_among(candidates)), set_of(held)
for first = 1, #candidates - size + 1, size do
    local group = {}
    for i = first, first + size - 1 do
        local seat = candidates[i]
        if not taken[seat] and not own[seat] then group[#group + 1] = seat end
    end
    if #group == size and (#geometry == 0 or #orphans_of(geometry, held, held, group) == 0) then
        return answer("OK", grant(user, hold, group, rules), group)
    end
end
return answer("UNAVAILABLE", hold)
