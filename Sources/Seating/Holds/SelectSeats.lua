-- SelectSeats: hold exactly these seats, or add these to what is held; all or none.
--
-- ARGV[5] user   ARGV[6] hold_ms   ARGV[7] max_seats   ARGV[8] open, 1 or 0   ARGV[9] queued, 1 or 0
-- ARGV[10] mode  "exact" or "add"  ARGV[11…] seats, without repetition, at most 500
-- Returns `answer` with OK, CLOSED, PASS, LIMIT or UNAVAILABLE. O(seats). A refusal changes nothing.
-- Safe to repeat: asking again for what one has keeps fence and expiry. Seats that are only given back need neither an
-- open sale nor a pass.
expire_due(100)
local user, rules, exact, wanted = ARGV[5], rules_from(6), ARGV[10] == "exact", arguments(11)
local hold = live_hold(user)
local held = hold and hold.seats or {}
local added = without(wanted, set_of(held))
local dropped = exact and without(held, set_of(wanted)) or {}

if #added > 0 then
    local refused = refusal(user, #held - #dropped, #added, rules)
    if refused then return answer(refused, hold) end
    local taken = taken_among(added)
    if #taken > 0 then return answer("UNAVAILABLE", hold, taken) end
end
if #dropped > 0 then
    -- The hold lives on while it is given other seats: a swap does not start a new clock.
    redis.call("HDEL", HOLDS, unpack(dropped))
    hold.seats = without(held, set_of(dropped))
    if #added == 0 then store_hold(hold) end
    remember("released", user, dropped)
    publish("f", dropped)
end
if #added > 0 then hold = grant(user, hold, added, rules) end
return answer("OK", hold)
