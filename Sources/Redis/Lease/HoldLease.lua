-- HoldLease: take a lease, or prolong it, for the one who shows its token.
--
-- KEYS[1] lease  string  token of the holder, with an expiry
-- ARGV[1] token          ARGV[2] ttl_ms, above 0
-- ARGV[3] "take" when a free lease may be taken; "keep" when only one's own is prolonged
-- Returns 1 when the caller holds the lease now, else 0. O(1).
-- Safe to repeat with the same token: a reply may be lost after the script ran.
local holder = redis.call("GET", KEYS[1])
if holder == ARGV[1] or (not holder and ARGV[3] == "take") then
    redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
    return 1
end
return 0
