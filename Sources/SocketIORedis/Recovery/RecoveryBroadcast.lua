-- RecoveryBroadcast: number a broadcast, keep it for those who may come back, and publish it.
--
-- KEYS[2…] streams, one for each room, or the namespace's own; an entry's id is <number>-0
-- ARGV[1] epoch offered   ARGV[2] channel, of the same slot   ARGV[3] message   ARGV[4] entries kept   ARGV[5] ttl_ms of a stream
-- Returns {epoch, n}. O(rooms). One step, so the order of the numbers is the order on every channel.
local epoch, n = head(ARGV[1])
n = redis.call("HINCRBY", HEAD, "n", 1)
local id = digits(n) .. "-0"
for i = 2, #KEYS do
    local added = redis.pcall("XADD", KEYS[i], "MAXLEN", ARGV[4], id, "m", ARGV[3])
    if type(added) == "table" and added.err then
        -- Left over from a life of the counter that somebody has wiped alone.
        redis.call("DEL", KEYS[i])
        redis.call("XADD", KEYS[i], "MAXLEN", ARGV[4], id, "m", ARGV[3])
    end
    redis.call("PEXPIRE", KEYS[i], ARGV[5])
end
redis.call("SPUBLISH", ARGV[2], "\242" .. epoch .. "." .. digits(n) .. "\n" .. ARGV[3])
return {epoch, digits(n)}
