-- RecoveryCommon: what every script of connection state recovery begins with.
--
-- KEYS[1] head  hash  epoch (random; a new one makes all offsets given out before useless), n (the last broadcast)
-- All keys of a namespace share the hash tag {<namespace>}, so scripts may also build them: room streams are read by
-- the names that a session's record gives. Every key expires.
local HEAD = KEYS[1]
local HEAD_TTL_MS = 86400000

-- Lua writes large numbers with an exponent; stream ids want digits.
local function digits(number) return string.format("%.0f", number) end

-- The epoch and the last number; begins a new life with the epoch offered if this Redis knows none.
local function head(offered)
    local found = redis.call("HMGET", HEAD, "epoch", "n")
    if not found[1] then
        redis.call("HSET", HEAD, "epoch", offered, "n", 0)
        found = {offered, "0"}
    end
    redis.call("PEXPIRE", HEAD, HEAD_TTL_MS)
    return found[1], tonumber(found[2])
end
