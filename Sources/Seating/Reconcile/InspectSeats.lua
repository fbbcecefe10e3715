-- InspectSeats: what this Redis knows of some places, for the reconciler; holds and map are put right on the way.
--
-- ARGV[6…] places, at least one, in the order of their ordinals and without gaps between them
-- Returns {"OK", epoch, corrected, claims}: how many places were at odds within this Redis, and each place's claim as it
-- is written, or "". O(places). Safe to repeat.
--
-- Every script writes claims, holds and map together, so there is nothing to put right unless somebody wrote by hand or
-- a script has a fault. Claims win over holds, and both over the letters of the map.
expire_due(100)
local places = arguments(6)
local claims = call("HMGET", CLAIMS, unpack(places))
local holders = call("HMGET", HOLDS, unpack(places))
local first = ordinal_of(places[1])
local letters = call("GETRANGE", MAP, first, ordinal_of(places[#places]))
local held_by = {}
local function is_held(holder, place)
    if not held_by[holder] then
        local hold = load_hold(holder)
        held_by[holder] = set_of(hold and hold.seats or {})
    end
    return held_by[holder][place] == true
end

local claimed_and_held, wrong, found = {}, {a = {}, l = {}, r = {}}, {}
local corrected = 0
for i, place in ipairs(places) do
    local holder = holders[i]
    if holder and claims[i] then
        claimed_and_held[#claimed_and_held + 1] = place
        corrected = corrected + 1
    elseif holder and not is_held(holder, place) then
        call("HDEL", HOLDS, place)
        holder = nil
    end
    local letter = claims[i] and "r" or holder and "l" or "a"
    if string.sub(letters, ordinal_of(place) - first + 1, ordinal_of(place) - first + 1) ~= letter then
        table.insert(wrong[letter], place)
        corrected = corrected + 1
    end
    found[i] = claims[i] or ""
end
take_away(take_holders(claimed_and_held), "lost", "t")
for letter, kind in pairs({a = "f", l = "l", r = "r"}) do
    mark(wrong[letter], letter)
    publish(kind, wrong[letter])
end
return done({"OK", epoch, corrected, found})
