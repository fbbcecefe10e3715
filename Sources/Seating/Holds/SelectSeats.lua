-- SelectSeats: hold exactly these places, or add these to what is held; all or none.
--
-- ARGV[6] user   ARGV[7…11] rules, see `rules_from`   ARGV[12] mode, "exact" or "add"
-- ARGV[13] geometry of the sections named, see Orphans; empty when seats may be left alone
-- ARGV[14] wanted  how many places are named      ARGV[15] size  of an alternative group, 0 for none
-- ARGV[16] areas   how many standing areas follow
-- then the places, without repetition, at most 500, those that a group would replace first; then four for each area:
-- its first place, how many it has, its name, and how many are wanted (in all with "exact", more with "add");
-- then alternative groups one after the other, best first
-- Returns `answer` with OK, CLOSED, PASS, LIMIT, UNAVAILABLE, ORPHAN (with the ids of the seats left alone) or SHORT (with
-- the area's name and how many are left). O(places named), for an area O(its places) at the speed of memory.
-- A refusal changes nothing. Safe to repeat with the same request id; with "exact" and without areas also without one.
-- Seats that are only given back need neither an open sale nor a pass.
expire_due(100)
local user, rules, exact = ARGV[6], rules_from(7), ARGV[12] == "exact"
local geometry = geometry_from(ARGV[13])
local size, area_count = tonumber(ARGV[15]), tonumber(ARGV[16])
local next_argument = 17 + tonumber(ARGV[14])
local wanted = arguments(17, next_argument - 1)
local hold = live_hold(user)
if is_repeated(hold, rules.request) then return answer("OK", hold, hold.given) end
local held = hold and hold.seats or {}
local own, named = set_of(held), set_of(wanted)

-- Standing places: what is held of an area stays as far as it is wanted, the rest is looked for among the free ones.
local standing, searches, missing = {}, {}, 0
for i = 1, area_count do
    local first, capacity = tonumber(ARGV[next_argument]), tonumber(ARGV[next_argument + 1])
    local name, count = ARGV[next_argument + 2], tonumber(ARGV[next_argument + 3])
    next_argument = next_argument + 4
    if exact then
        for _, place in ipairs(held) do
            local at = ordinal_of(place)
            if count > 0 and at >= first and at < first + capacity then
                standing[#standing + 1] = place
                count = count - 1
            end
        end
    end
    missing = missing + count
    searches[i] = {first = first, capacity = capacity, name = name, count = count}
end

-- What would be new and what would be given back if these were the person's numbered seats.
local function change_to(places)
    local kept = set_of(places)
    for _, place in ipairs(standing) do kept[place] = true end
    local dropped = exact and without(held, kept) or {}
    return without(places, own), dropped
end

local function orphans_left(added, dropped)
    if #geometry == 0 or #added == 0 then return {} end
    return orphans_of(geometry, held, without(held, set_of(dropped)), added)
end

-- The first group that can be had in place of the first `size` places wanted; nil if there is none.
local function alternative()
    local groups = arguments(next_argument)
    local rest = arguments(17 + size, 16 + tonumber(ARGV[14]))
    if #groups == 0 or #taken_among(without(rest, own)) > 0 then return nil end
    local taken = set_of(taken_among(without(groups, own)))
    for first = 1, #groups - size + 1, size do
        local places, fits = {}, true
        for i = first, first + size - 1 do
            local place = groups[i]
            if taken[place] or (own[place] and not exact) then fits = false end
            places[#places + 1] = place
        end
        for _, place in ipairs(rest) do places[#places + 1] = place end
        if fits and #orphans_left(change_to(places)) == 0 then return places end
    end
    return nil
end

local added, dropped = change_to(wanted)
if #added + missing > 0 then
    local refused = refusal(user, #held - #dropped, #added + missing, rules)
    if refused then return answer(refused, hold) end
    local taken = taken_among(added)
    if #taken > 0 then
        -- Adding, a group takes the place of seats that are all new.
        local instead = (exact or #added == #wanted) and alternative()
        if not instead then return answer("UNAVAILABLE", hold, taken) end
        added, dropped = change_to(instead)
    else
        local orphans = orphans_left(added, dropped)
        if #orphans > 0 then return answer("ORPHAN", hold, orphans) end
    end
    local chosen = set_of(added)
    for _, search in ipairs(searches) do
        if search.count > 0 then
            local letters = call("GETRANGE", MAP, search.first, search.first + search.capacity - 1)
            local at, left = 0, 0
            while left < search.count do
                at = string.find(letters, "a", at + 1, true)
                if not at then return answer("SHORT", hold, {search.name, digits(left)}) end
                local place = digits(search.first + at - 1) .. ":" .. search.name .. "-0-" .. digits(at)
                if not chosen[place] then
                    added[#added + 1] = place
                    left = left + 1
                end
            end
        end
    end
end
if #dropped > 0 then
    -- The hold lives on while it is given other seats: a swap does not start a new clock.
    call("HDEL", HOLDS, unpack(dropped))
    mark(dropped, "a")
    hold.seats = without(held, set_of(dropped))
    if #added == 0 then store_hold(hold) end
    publish("f", dropped, user)
end
if #added > 0 then hold = grant(user, hold, added, rules) end
return answer("OK", hold, added)
