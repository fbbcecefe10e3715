-- QueueLoad: one step of loading a queue from PostgreSQL. The highest epoch wins, whoever else is loading.
--
-- KEYS as in QueueCommon.
-- ARGV[1] step   ARGV[2] epoch being loaded, raised in PostgreSQL for this load alone
-- ARGV[3] now_ms, 0 for the server's clock
-- ARGV[4…] by step:
--   begin                         forget everything but who was seen
--   waiting  user, qseq pairs
--   passes   user, qseq, expires_at_ms triples
--   lobby    users
--   gone     first, last pairs of places that are gone
--   finish   prefix, max_qseq, "full" or "empty" bucket, hold_ms, admitted_total, version of the rules,
--                                 term of the latest leader
-- Returns {"ok"}, or {"lost"} when another load took over, or has finished. O(arguments log waiting); the caller sends at most 1,000.
local step, epoch, now_ms = ARGV[1], tonumber(ARGV[2]), clock(ARGV[3])
-- A loader ends the life before it reads PostgreSQL. A life that is here all the same began later than that reading.
if redis.call("HEXISTS", meta, "epoch") == 1 or number("loading") > epoch then return {"lost"} end
if step == "begin" then
    local was_seen = redis.call("EXISTS", seen)
    -- Ticks go on counting, so that a listener notices the gap; a leader of the past stays shut out.
    -- The bucket of a life that was only renewed is as full as it was.
    local tick, term, rules = number("tick"), number("term"), number("rules")
    local tokens, filled_ms = redis.call("HGET", meta, "tokens"), number("filled_ms")
    redis.call("UNLINK", meta, waiting, away, passes, pass_places, gone, news, admitting, lobby,
        pass_tokens)
    redis.call("HSET", meta, "loading", ARGV[2], "was_seen", was_seen, "loading_ms", text(now_ms),
        "tick", text(tick), "term", text(term), "rules", text(rules))
    if tokens and filled_ms > 0 then redis.call("HSET", meta, "tokens", tokens, "filled_ms", text(filled_ms)) end
    return {"ok"}
end
if number("loading") ~= epoch then return {"lost"} end
-- The claim lapses only when its owner stops.
redis.call("HSET", meta, "loading_ms", text(now_ms))
if step == "waiting" then
    for index = 4, #ARGV, 2 do redis.call("ZADD", waiting, ARGV[index + 1], ARGV[index]) end
elseif step == "passes" then
    for index = 4, #ARGV, 3 do
        redis.call("ZADD", passes, ARGV[index + 2], ARGV[index])
        redis.call("HSET", pass_places, ARGV[index], ARGV[index + 1])
    end
elseif step == "lobby" then
    for index = 4, #ARGV do redis.call("SADD", lobby, ARGV[index]) end
elseif step == "gone" then
    for index = 4, #ARGV, 2 do
        for place = tonumber(ARGV[index]), tonumber(ARGV[index + 1]) do
            redis.call("ZADD", gone, place, text(place))
        end
    end
elseif step == "finish" then
    -- The first life of a queue waits for nobody, nor does one whose people are known to be there.
    local hold_until_ms = 0
    if ARGV[7] ~= "0" and number("was_seen") == 0 then hold_until_ms = now_ms + tonumber(ARGV[7]) end
    if number("filled_ms") == 0 then
        -- Lost, and somebody has been let in before: it begins to fill now, because nobody knows of pauses since.
        if ARGV[6] == "full" then
            redis.call("HSET", meta, "tokens", "full", "filled_ms", 0)
        else
            redis.call("HSET", meta, "tokens", 0, "filled_ms", text(now_ms))
        end
    end
    redis.call("HDEL", meta, "loading", "loading_ms", "was_seen")
    redis.call("HSET", meta, "epoch", ARGV[2], "prefix", ARGV[4], "max_qseq", ARGV[5],
        "hold_until_ms", text(hold_until_ms), "admitted_total", ARGV[8], "changed", 1)
    if tonumber(ARGV[9]) > number("rules") then redis.call("HSET", meta, "rules", ARGV[9]) end
    if tonumber(ARGV[10]) > number("term") then redis.call("HSET", meta, "term", ARGV[10]) end
end
return {"ok"}
