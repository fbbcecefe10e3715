-- Orphans: which single seats a choice would leave behind. Part of SelectSeats and TakeBest.
--
-- A block is a run of seats of one row that are free or the person's own. A choice may leave a seat of it alone, between
-- taken seats or at the row's end, only if no choice of as many seats in this block could do without: when one more is
-- in the block than is chosen. Seats that were alone before are nobody's fault, for they are a block of their own.
--
-- geometry: numbers, three for each section touched: its first place, the place after its last, seats in a row.
-- kept: places of the person that stay theirs; added: those that are to become it; own: all they have now.
-- Returns the ids of the seats left alone. O(seats of the rows touched).
local function orphans_of(geometry, own, kept, added)
    local mine, chosen, rows = {}, {}, {}
    for _, place in ipairs(own) do mine[ordinal_of(place)] = true end
    for _, place in ipairs(kept) do chosen[ordinal_of(place)] = true end
    for _, place in ipairs(added) do
        local at = ordinal_of(place)
        chosen[at] = true
        for i = 1, #geometry, 3 do
            local first, per_row = geometry[i], geometry[i + 2]
            if at >= first and at < geometry[i + 1] then
                local start = first + math.floor((at - first) / per_row) * per_row
                rows[start] = rows[start] or {per_row = per_row, name = string.match(id_of(place), "^(.*%-)%d+$"), added = {}}
                rows[start].added[at] = true
            end
        end
    end
    local orphans = {}
    for start, row in pairs(rows) do
        local letters = call("GETRANGE", MAP, start, start + row.per_row - 1)
        local length, taken, touched, alone, run = 0, 0, false, {}, 0
        -- One step past the end closes what is open there.
        for i = 1, row.per_row + 1 do
            local at = start + i - 1
            local inside = i <= row.per_row and (string.byte(letters, i) == 97 or mine[at])
            local free = inside and not chosen[at]
            if free then
                run = run + 1
            else
                if run == 1 then alone[#alone + 1] = row.name .. digits(i - 1) end
                run = 0
            end
            if inside then
                length = length + 1
                if chosen[at] then taken = taken + 1 end
                touched = touched or row.added[at]
            else
                if touched and #alone > (length - taken == 1 and 1 or 0) then
                    for _, seat in ipairs(alone) do orphans[#orphans + 1] = seat end
                end
                length, taken, touched, alone = 0, 0, false, {}
            end
        end
    end
    return orphans
end

local function geometry_from(argument)
    local numbers = {}
    for number in string.gmatch(argument, "%d+") do numbers[#numbers + 1] = tonumber(number) end
    return numbers
end

