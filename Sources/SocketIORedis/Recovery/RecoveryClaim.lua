-- RecoveryClaim: give a session to the connection of a client that has come back, and take it from everybody else.
--
-- KEYS[2] session
-- ARGV[1] epoch offered   ARGV[2] owner from now on   ARGV[3] ttl_ms   ARGV[4] channel   ARGV[5] pid
-- ARGV[6] epoch of the offset, empty if the client sent none   ARGV[7] broadcast   ARGV[8] d
-- ARGV[9] beginning of the sid that d belongs to, empty if there is no d
-- Returns {epoch, n} if there is nothing to give, else {epoch, n, broadcast, d, field, value, …}: from where on the
-- client has missed something, and the record as it was.
-- Two claims of one session: the later one has it. Who held it is told on the channel.
local epoch, n = head(ARGV[1])
local nothing = {epoch, digits(n)}
local record = redis.call("HGETALL", KEYS[2])
if #record == 0 then return nothing end
local session = {}
for i = 1, #record, 2 do session[record[i]] = record[i + 1] end

local broadcast, d = tonumber(session.start), 0
if ARGV[6] ~= "" then
    local seen, seen_d = tonumber(ARGV[7]), tonumber(ARGV[8])
    if ARGV[6] ~= epoch or seen > n then return nothing end
    if ARGV[9] ~= "" then
        if string.sub(session.sid, 1, #ARGV[9]) ~= ARGV[9] then
            -- Of an earlier session of this client: it has had nothing of this one.
            seen, seen_d = 0, 0
        elseif session.open == "0" and seen_d > tonumber(session.d) then
            -- A node that was killed may have sent more than it could store; one that took leave has not.
            return nothing
        end
    end
    if seen >= broadcast then broadcast, d = seen, seen_d end
end

redis.call("HSET", KEYS[2], "owner", ARGV[2], "open", 1)
redis.call("PEXPIRE", KEYS[2], ARGV[3])
if session.open == "1" then
    redis.call("PUBLISH", ARGV[4], "\243" .. ARGV[5] .. "\n" .. ARGV[2])
end
local reply = {epoch, digits(n), digits(broadcast), digits(d)}
for i = 1, #record do reply[#reply + 1] = record[i] end
return reply
