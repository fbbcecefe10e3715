-- RecoveryRefresh: sessions of living connections go on living.
--
-- KEYS[2…] sessions
-- ARGV[1] epoch offered   ARGV[2] ttl_ms   ARGV[3…] the owner of each session
-- Returns {epoch, n, state of each session…}: 1 refreshed, 0 unknown here, 2 another owner's. O(sessions).
local epoch, n = head(ARGV[1])
local reply = {epoch, digits(n)}
for i = 2, #KEYS do
    local owner = redis.call("HGET", KEYS[i], "owner")
    if not owner then
        reply[#reply + 1] = 0
    elseif owner == ARGV[i + 1] then
        redis.call("PEXPIRE", KEYS[i], ARGV[2])
        reply[#reply + 1] = 1
    else
        reply[#reply + 1] = 2
    end
end
return reply
