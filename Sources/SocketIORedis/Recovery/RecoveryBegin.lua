-- RecoveryBegin: write the record of a session that is new, or that Redis has lost.
--
-- KEYS[2] session  hash  sid, owner, start (the last broadcast before it), open (0 once its end was seen),
--                        d (its last event to this socket alone), data (JSON), r:<room> (the last broadcast before joining)
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] sid   ARGV[4] ttl_ms   ARGV[5] d   ARGV[6] data, empty for none
-- ARGV[7…] rooms
-- Returns {epoch, n}. Safe to repeat.
local epoch, n = head(ARGV[1])
redis.call("DEL", KEYS[2])
redis.call("HSET", KEYS[2], "sid", ARGV[3], "owner", ARGV[2], "start", digits(n), "open", 1, "d", ARGV[5])
if ARGV[6] ~= "" then redis.call("HSET", KEYS[2], "data", ARGV[6]) end
for i = 7, #ARGV do redis.call("HSET", KEYS[2], "r:" .. ARGV[i], digits(n)) end
redis.call("PEXPIRE", KEYS[2], ARGV[4])
return {epoch, digits(n)}
