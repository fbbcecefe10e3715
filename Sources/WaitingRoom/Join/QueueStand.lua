-- QueueStand: where people stand; asking is a sign of presence of those who wait.
--
-- KEYS as in QueueCommon.
-- ARGV[1] now_ms, 0 for the server's clock   ARGV[2…] users, may be none
-- Returns {"rebuild"} when this Redis does not know the queue, else {"ok", summary, standing of each user}.
-- O(users log waiting). Safe to repeat.
if not redis.call("HGET", meta, "epoch") then return {"rebuild"} end
local now_ms = clock(ARGV[1])
local before = front()
local users, standings, signs = {}, {}, {}
for index = 2, #ARGV do users[#users + 1] = ARGV[index] end
local expiries, places = {}, {}
if #users > 0 then
    expiries = redis.call("ZMSCORE", passes, unpack(users))
    places = redis.call("ZMSCORE", waiting, unpack(users))
end
for index, user in ipairs(users) do
    local found, is_away = nil, false
    if places[index] and tonumber(expiries[index] or 0) <= now_ms then
        -- As nearly everybody does.
        found = {"waiting", places[index], text(ahead_of(tonumber(places[index]), before))}
    else
        found, is_away = standing(user, now_ms, before)
    end
    if is_away then
        touch(user, now_ms)
    elseif found[1] == "waiting" or found[1] == "lobby" then
        signs[#signs + 1] = text(now_ms)
        signs[#signs + 1] = user
    end
    standings[#standings + 1] = found
end
-- At most 500 people are asked about at once; Lua unpacks several thousand.
if #signs > 0 then redis.call("ZADD", seen, unpack(signs)) end
return {"ok", summary(now_ms), standings}
