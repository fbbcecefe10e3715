-- RecoveryClaim: give a session to the connection of a client that has come back, and take it from everybody else.
--
-- KEYS[2] session
-- ARGV[1] epoch offered   ARGV[2] owner from now on   ARGV[3] ttl_ms   ARGV[4] channel   ARGV[5] pid
-- ARGV[6] epoch of the offset, empty if the client sent none   ARGV[7] broadcast   ARGV[8] d
-- ARGV[9] beginning of the sid that d belongs to, empty if there is no d
-- Returns {epoch, n} if there is nothing to give, else {epoch, n, broadcast, d, claim, field, value, …}: from where on
-- the client has missed something, the number of this claim, and the record as it was.
-- Two claims of one session: the later one has it. Who held it is told on the channel; the number tells who that is,
-- for word of an earlier claim may come when a later one has been made.
local epoch, n = head(ARGV[1])
local nothing = {epoch, digits(n)}
local record = redis.call("HGETALL", KEYS[2])
if #record == 0 then return nothing end
local session = {}
for i = 1, #record, 2 do session[record[i]] = record[i + 1] end

-- A node may be behind the counter: what it sent to this socket alone may stand before the session's start, so who has
-- had nothing of this session is given all of that, from zero on. Broadcasts are read from the start on in any case.
local broadcast, d = 0, 0
if ARGV[6] ~= "" then
    local seen, seen_d = tonumber(ARGV[7]), tonumber(ARGV[8])
    if ARGV[6] ~= epoch or seen > n then return nothing end
    if ARGV[9] ~= "" then
        -- Any other is of an earlier session of this client: it has had nothing of this one.
        if string.sub(session.sid, 1, #ARGV[9]) == ARGV[9] then
            -- A node that was killed may have sent more than it could store; one that took leave has not.
            if session.open == "0" and seen_d > tonumber(session.d) then return nothing end
            broadcast, d = seen, seen_d
        end
    elseif seen >= tonumber(session.start) then
        broadcast = seen
    end
end

local claim = redis.call("HINCRBY", KEYS[2], "claims", 1)
redis.call("HSET", KEYS[2], "owner", ARGV[2], "open", 1, "seen", digits(broadcast) .. "-" .. digits(d))
-- What it has had is counted, also what could not be kept.
redis.call("HSET", KEYS[2], "d", digits(math.max(d, tonumber(session.d))))
redis.call("PEXPIRE", KEYS[2], ARGV[3])
if session.open == "1" then
    redis.call("SPUBLISH", ARGV[4], "\243" .. ARGV[5] .. "\n" .. claim)
end
local reply = {epoch, digits(n), digits(broadcast), digits(d), claim}
for i = 1, #record do reply[#reply + 1] = record[i] end
return reply
