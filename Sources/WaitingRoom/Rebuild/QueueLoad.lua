-- QueueLoad: one step of loading a queue from PostgreSQL. The highest epoch wins, whoever else is loading.
--
-- KEYS as in QueueCommon.
-- ARGV[1] step   ARGV[2] epoch being loaded, raised in PostgreSQL for this load alone
-- ARGV[3…] by step:
--   begin                         forget everything but who was seen
--   waiting  user, qseq pairs
--   passes   user, qseq, expires_at_ms triples
--   lobby    users
--   gone     first, last pairs of places that are gone
--   finish   prefix, max_qseq, tokens, filled_ms, hold_until_ms, admitted_total
-- Returns {"ok"}, or {"lost"} when a later epoch took over. O(arguments log waiting); the caller sends at most 1,000.
local step, epoch = ARGV[1], tonumber(ARGV[2])
if number("epoch") >= epoch or number("loading") > epoch then return {"lost"} end
if step == "begin" then
    local was_seen = redis.call("EXISTS", seen)
    local tick, loading_ms = redis.call("HGET", meta, "tick"), redis.call("HGET", meta, "loading_ms")
    redis.call("DEL", meta, waiting, away, passes, pass_places, gone, delta, undurable, lobby)
    redis.call("HSET", meta, "loading", ARGV[2], "was_seen", was_seen, "loading_ms", loading_ms or "0")
    -- Ticks go on counting, so that a listener notices the gap.
    redis.call("HSET", meta, "tick", tick or "0")
    return {"ok"}
end
if number("loading") ~= epoch then return {"lost"} end
if step == "waiting" then
    for index = 3, #ARGV, 2 do redis.call("ZADD", waiting, ARGV[index + 1], ARGV[index]) end
elseif step == "passes" then
    for index = 3, #ARGV, 3 do
        redis.call("ZADD", passes, ARGV[index + 2], ARGV[index])
        redis.call("HSET", pass_places, ARGV[index], ARGV[index + 1])
    end
elseif step == "lobby" then
    for index = 3, #ARGV do redis.call("SADD", lobby, ARGV[index]) end
elseif step == "gone" then
    for index = 3, #ARGV, 2 do
        for place = tonumber(ARGV[index]), tonumber(ARGV[index + 1]) do
            redis.call("ZADD", gone, place, text(place))
        end
    end
elseif step == "finish" then
    local now_ms = clock("0")
    -- The first life of a queue waits for nobody, nor does one whose people are known to be there.
    local hold_until_ms = 0
    if ARGV[7] ~= "0" and number("was_seen") == 0 then hold_until_ms = now_ms + tonumber(ARGV[7]) end
    redis.call("HDEL", meta, "loading", "loading_ms", "was_seen")
    redis.call("HSET", meta, "epoch", ARGV[2], "prefix", ARGV[3], "max_qseq", ARGV[4], "tokens", ARGV[5],
        "filled_ms", ARGV[6], "hold_until_ms", text(hold_until_ms), "admitted_total", ARGV[8], "changed", 1)
end
return {"ok"}
