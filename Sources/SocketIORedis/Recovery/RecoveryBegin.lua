-- RecoveryBegin: write the record of a session that is new, or that Redis has lost.
--
-- KEYS[2] session  hash  sid, owner, start (the last broadcast before it), open (0 once its end was seen),
--                        claims (how often it was claimed), d (its last event to this socket alone), seen (what
--                        its client had had at the last claim, <broadcast>-<d>), data (JSON),
--                        r:<room> (the last broadcast before joining)
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] sid   ARGV[4] ttl_ms   ARGV[5] d   ARGV[6] data, empty for none
-- ARGV[7] claims   ARGV[8…] rooms
-- Returns {epoch, n}. Safe to repeat. What another owner has is left alone.
local epoch, n = head(ARGV[1])
local owner = redis.call("HGET", KEYS[2], "owner")
if owner and owner ~= ARGV[2] then return {epoch, digits(n)} end
redis.call("DEL", KEYS[2])
redis.call("HSET", KEYS[2], "sid", ARGV[3], "owner", ARGV[2], "start", digits(n), "open", 1)
redis.call("HSET", KEYS[2], "d", ARGV[5], "claims", ARGV[7])
if ARGV[6] ~= "" then redis.call("HSET", KEYS[2], "data", ARGV[6]) end
for i = 8, #ARGV do redis.call("HSET", KEYS[2], "r:" .. ARGV[i], digits(n)) end
redis.call("PEXPIRE", KEYS[2], ARGV[4])
return {epoch, digits(n)}
