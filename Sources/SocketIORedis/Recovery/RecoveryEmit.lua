-- RecoveryEmit: keep an event to one socket alone.
--
-- KEYS[2] session   KEYS[3] directs, a stream; an entry's id is <broadcast before it>-<d>
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] epoch of the event   ARGV[4] broadcast   ARGV[5] d
-- ARGV[6] packet   ARGV[7] entries kept   ARGV[8] ttl_ms of the stream
-- Returns {epoch, n, moved}. An event of another life, or of an owner who has lost the session, is not kept; moved is 1
-- if another connection has claimed the session without having had the event, which is to be sent after it.
local epoch, n = head(ARGV[1])
if epoch ~= ARGV[3] then return {epoch, digits(n), 0} end
local session = redis.call("HMGET", KEYS[2], "owner", "seen")
local moved = 0
if session[1] == ARGV[2] then
    local id = ARGV[4] .. "-" .. ARGV[5]
    local added = redis.pcall("XADD", KEYS[3], "MAXLEN", ARGV[7], id, "m", ARGV[6])
    if type(added) ~= "table" then
        redis.call("PEXPIRE", KEYS[3], ARGV[8])
        redis.call("HSET", KEYS[2], "d", ARGV[5])
    end
elseif session[1] then
    local seen, seen_d = string.match(session[2] or "0-0", "^(%d+)-(%d+)$")
    local broadcast, d = tonumber(ARGV[4]), tonumber(ARGV[5])
    seen, seen_d = tonumber(seen), tonumber(seen_d)
    if broadcast > seen or broadcast == seen and d > seen_d then moved = 1 end
end
return {epoch, digits(n), moved}
