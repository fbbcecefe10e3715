-- CorrectSeats: make claims what PostgreSQL says, where they still are as the reconciler found them.
--
-- ARGV[6…] three each: place, the claim found here, the claim that should be; "" for none, otherwise as in KEYS[6],
--          user|claim or |blocked
-- Returns {"OK", epoch, corrected}. O(places). Safe to repeat, and too late: a place that has changed since is left
-- alone, and so is a claim that was given back meanwhile.
expire_due(100)
local freed, taken = {}, {}
for i = 6, #ARGV, 3 do
    local place, found, truth = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local _, claim = parse_claim(truth)
    local is_gone = claim and claim ~= "blocked" and call("ZSCORE", FREED, claim)
    if (call("HGET", CLAIMS, place) or "") == found and not is_gone then
        local former = parse_claim(found)
        if former and former ~= "" and call("HINCRBY", CLAIMANTS, former, -1) <= 0 then
            call("HDEL", CLAIMANTS, former)
        end
        if truth == "" then
            call("HDEL", CLAIMS, place)
            freed[#freed + 1] = place
        else
            local owner = parse_claim(truth)
            if owner ~= "" then call("HINCRBY", CLAIMANTS, owner, 1) end
            call("HSET", CLAIMS, place, truth)
            taken[#taken + 1] = place
        end
    end
end
take_away(take_holders(taken), "lost", "t")
mark(freed, "a")
mark(taken, "r")
publish("f", freed)
publish("r", taken)
return done({"OK", epoch, #freed + #taken})
