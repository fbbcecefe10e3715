-- QueueToken: the one entry pass of an admission, whoever signs first.
--
-- KEYS as in QueueCommon.
-- ARGV[1] user   ARGV[2] expires_at_ms of the admission   ARGV[3] token
-- Returns the token that everybody is given: the one kept before, or this one. O(1). Safe to repeat.
-- A pass that is not here, or is another by now, keeps nothing.
if redis.call("ZSCORE", passes, ARGV[1]) ~= ARGV[2] then return ARGV[3] end
local known = redis.call("HGET", pass_tokens, ARGV[1])
if known then return known end
redis.call("HSET", pass_tokens, ARGV[1], ARGV[3])
return ARGV[3]
