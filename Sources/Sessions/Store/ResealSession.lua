-- ResealSession: the same value under the newest secret, unless the session changed or ended meanwhile.
--
-- KEYS[1] session  hash        value (sealed), …
-- ARGV[1] the value as it was read   ARGV[2] the value to put in its place
-- Returns 1 if it was put there. O(1).
if redis.call("HGET", KEYS[1], "value") ~= ARGV[1] then return 0 end
redis.call("HSET", KEYS[1], "value", ARGV[2])
return 1
