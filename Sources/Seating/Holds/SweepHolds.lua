-- SweepHolds: end the holds that are due and warn of those that end soon.
--
-- ARGV[6] limit   how many holds to end and to warn of in one run, so that no run is long
-- Returns {"OK", epoch, ended, warned, holds left}. O(limit).
local limit = tonumber(ARGV[6])
local ended = expire_due(limit)
local near = call("ZRANGEBYSCORE", WARNINGS, "-inf", digits(now_ms), "LIMIT", 0, limit)
for _, user in ipairs(near) do
    call("ZREM", WARNINGS, user)
    local hold = load_hold(user)
    if hold and hold.expires_ms > now_ms then notify("w", user, hold.expires_ms, hold.seats) end
end
return done({"OK", epoch, ended, #near, call("ZCARD", EXPIRY)})
