-- EventRoom: who is in an event's room, across all instances.
--
-- KEYS[1] room       sorted set  user, scored by the ms at which an instance last said they are here
-- KEYS[2] instances  hash        user -> the instances with a socket of theirs in the room, separated by spaces
-- ARGV[1] action     "arrive", "depart" or "count"
-- ARGV[2] away_ms    somebody not mentioned for this long is gone: their instance died
-- ARGV[3] instance   with "arrive" and "depart": who says so
-- ARGV[4…] users     with "arrive" and "depart", at most 500 a call
-- Returns how many are in the room now. O(users × log room). Safe to repeat.
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for index = 4, #ARGV do
    local user = ARGV[index]
    local others = {}
    for instance in string.gmatch(redis.call("HGET", KEYS[2], user) or "", "%S+") do
        if instance ~= ARGV[3] then others[#others + 1] = instance end
    end
    if ARGV[1] == "arrive" then
        others[#others + 1] = ARGV[3]
        redis.call("ZADD", KEYS[1], now_ms, user)
    end
    -- A tab on another instance keeps the person in the room.
    if #others > 0 then
        redis.call("HSET", KEYS[2], user, table.concat(others, " "))
    else
        redis.call("HDEL", KEYS[2], user)
        redis.call("ZREM", KEYS[1], user)
    end
end
local gone = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now_ms - ARGV[2], "LIMIT", 0, 1000)
if #gone > 0 then
    redis.call("ZREM", KEYS[1], unpack(gone))
    redis.call("HDEL", KEYS[2], unpack(gone))
end
-- The room goes with its last visitor even if nobody says good-bye.
redis.call("PEXPIRE", KEYS[1], ARGV[2] * 2)
redis.call("PEXPIRE", KEYS[2], ARGV[2] * 2)
return redis.call("ZCOUNT", KEYS[1], "(" .. (now_ms - ARGV[2]), "+inf")
