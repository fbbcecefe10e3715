-- EventRoom: who is in an event's room, across all instances.
--
-- KEYS[1] room     sorted set  user, scored by the ms at which an instance last said they are here
-- ARGV[1] action   "arrive", "depart" or "count"
-- ARGV[2] away_ms  somebody not mentioned for this long is gone: their instance died
-- ARGV[3…] users   with "arrive" and "depart", at most 500 a call
-- Returns how many are in the room now. O(users × log room). Safe to repeat.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for index = 3, #ARGV do
    if ARGV[1] == "arrive" then
        redis.call("ZADD", KEYS[1], now_ms, ARGV[index])
    else
        redis.call("ZREM", KEYS[1], ARGV[index])
    end
end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now_ms - ARGV[2])
-- The room goes with its last visitor even if nobody says good-bye.
redis.call("PEXPIRE", KEYS[1], ARGV[2] * 2)
return redis.call("ZCARD", KEYS[1])
