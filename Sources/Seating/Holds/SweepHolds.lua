-- SweepHolds: end the holds that are due and warn of those that end soon.
--
-- ARGV[6] limit   how many holds to end and to warn of in one run, so that no run is long
-- Returns {"OK", epoch, ended, warned, holds left, wait_ms}: none of these holds is to be ended or warned of for so long,
-- -1 without any. O(limit).
local limit = tonumber(ARGV[6])
local ended = expire_due(limit)
local near = call("ZRANGEBYSCORE", WARNINGS, "-inf", digits(now_ms), "LIMIT", 0, limit)
for _, user in ipairs(near) do
    call("ZREM", WARNINGS, user)
    local hold = load_hold(user)
    if hold and hold.expires_ms > now_ms then notify("w", user, hold.expires_ms, hold.seats) end
end
local warning = call("ZRANGE", WARNINGS, 0, 0, "WITHSCORES")
local next_ms = math.min(due_ms, tonumber(warning[2]) or NEVER_MS)
local wait_ms = next_ms < NEVER_MS and math.max(0, next_ms - now_ms) or -1
return done({"OK", epoch, ended, #near, call("ZCARD", EXPIRY), wait_ms})
