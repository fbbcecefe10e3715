-- QueueClaim: become the one who rebuilds the queue, if it needs to be.
--
-- KEYS as in QueueCommon.
-- ARGV[1] epoch that is needed, 0 for any, -1 to rebuild whatever there is; "renew" by who has the claim
--  ARGV[2] now_ms, 0 for the server's clock   ARGV[3] claim_ms
-- A claim that is not there any more is not renewed: the event may have been archived.
-- Returns {"ready"}, {"busy"} or {"yours", now_ms}. O(1). A claim lapses after claim_ms, should its owner have died.
local epoch = redis.call("HGET", meta, "epoch")
if ARGV[1] == "renew" then
    if epoch or redis.call("HEXISTS", meta, "loading_ms") == 0 then return {"ready"} end
    redis.call("HSET", meta, "loading_ms", text(clock(ARGV[2])))
    return {"busy"}
end
if epoch and ARGV[1] ~= "-1" and tonumber(epoch) >= tonumber(ARGV[1]) then return {"ready"} end
local now_ms = clock(ARGV[2])
if now_ms < number("loading_ms") + tonumber(ARGV[3]) then return {"busy"} end
-- From here nothing moves until the load is finished: nobody is let in who is not in what it reads.
redis.call("HDEL", meta, "epoch")
redis.call("HSET", meta, "loading_ms", text(now_ms))
return {"yours", text(now_ms)}
