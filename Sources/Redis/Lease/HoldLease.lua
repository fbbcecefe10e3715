-- HoldLease: take a lease, or prolong it, for the one who shows its token.
--
-- KEYS[1] lease  string  token of the holder, with an expiry
-- ARGV[1] token          ARGV[2] ttl_ms, above 0
-- ARGV[3] "take" when a free lease may be taken; "keep" when only one's own is prolonged
-- Returns 1 when the caller holds the lease now, else 0. O(1).
-- Safe to repeat with the same token: a reply may be lost after the script ran.
-- Everyone asks for the same ttl, and a holder counts it by a steady clock. So a lease with more than that left was given
-- before the server's clock went back, and would outlive a dead holder by as much.
local holder = redis.call("GET", KEYS[1])
if holder and redis.call("PTTL", KEYS[1]) > tonumber(ARGV[2]) then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
if holder == ARGV[1] or (not holder and ARGV[3] == "take") then
    redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
    return 1
end
return 0
