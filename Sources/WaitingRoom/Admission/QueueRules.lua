-- QueueRules: from now on nobody is let in by rules older than these. PostgreSQL has them already.
--
-- KEYS as in QueueCommon.
-- ARGV[1] version of the rules   ARGV[2] 1 if a pause ends with them   ARGV[3] now_ms, 0 for the server's clock
-- Returns {"ok"}. O(1). Safe to repeat and to run out of order: the highest version wins.
if tonumber(ARGV[1]) > number("rules") then
    redis.call("HSET", meta, "rules", ARGV[1], "pace_admitted", 0, "pace_ms", 0)
end
-- Not a moment of the pause fills the bucket, not even if no leader ticked in it.
if ARGV[2] == "1" and number("filled_ms") > 0 then redis.call("HSET", meta, "filled_ms", text(clock(ARGV[3]))) end
return {"ok"}
