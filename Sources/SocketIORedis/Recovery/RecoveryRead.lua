-- RecoveryRead: what a session's client has missed.
--
-- KEYS[2] session   KEYS[3] directs   KEYS[4] the namespace's own stream
-- ARGV[1] epoch offered   ARGV[2] owner   ARGV[3] epoch of the claim   ARGV[4] broadcast   ARGV[5] d
-- ARGV[6] what a room's stream is called before the room's name   ARGV[7] bytes of messages at most
-- Returns {epoch, n} if the session is another owner's, its rooms are too many, or something is gone that may have been
-- for it; else {epoch, n, d, number of directs, id, packet, …, number, message, …}. Messages may come twice, for two
-- rooms, and some are not for this socket: the caller sorts and chooses. O(messages) and O(rooms).
local MAX_ROOMS = 1000
local epoch, n = head(ARGV[1])
local nothing = {epoch, digits(n)}
local record = redis.call("HGETALL", KEYS[2])
local session, rooms = {}, {}
for i = 1, #record, 2 do
    session[record[i]] = record[i + 1]
    if string.sub(record[i], 1, 2) == "r:" then
        rooms[#rooms + 1] = {string.sub(record[i], 3), tonumber(record[i + 1])}
    end
end
if session.owner ~= ARGV[2] or epoch ~= ARGV[3] or #rooms > MAX_ROOMS then return nothing end
local from, from_d = tonumber(ARGV[4]), tonumber(ARGV[5])
local bytes, most = 0, tonumber(ARGV[7])

-- Appends what a stream has behind an id. False if entries that are gone may be among it: those before the first one
-- that is kept, which `had` judges.
local function read(key, major, minor, reply, had)
    if redis.call("EXISTS", key) == 0 then return true end
    local info, fields = redis.call("XINFO", "STREAM", key), {}
    for i = 1, #info, 2 do fields[info[i]] = info[i + 1] end
    -- Redis counts what was ever added from version 7 on; before, any stream is taken for a trimmed one.
    if fields["entries-added"] ~= fields["length"] then
        local first = fields["first-entry"]
        if not first then return false end
        local dash = string.find(first[1], "-", 1, true)
        if not had(tonumber(string.sub(first[1], 1, dash - 1)), tonumber(string.sub(first[1], dash + 1))) then
            return false
        end
    end
    for _, entry in ipairs(redis.call("XRANGE", key, "(" .. digits(major) .. "-" .. digits(minor), "+")) do
        reply[#reply + 1] = entry[1]
        reply[#reply + 1] = entry[2][2]
        bytes = bytes + #entry[2][2]
        if bytes > most then return false end
    end
    return true
end

local reply = {epoch, digits(n), session.d, 0}
local has_directs = read(KEYS[3], from, from_d, reply, function(broadcast, d)
    -- They are counted without gaps.
    if from_d > 0 then return d <= from_d + 1 end
    return broadcast < from
end)
if not has_directs then return nothing end
reply[4] = (#reply - 4) / 2

local function read_broadcasts(key, since)
    local last = math.max(from, since)
    return read(key, last, 0, reply, function(broadcast) return broadcast <= last + 1 end)
end
local start = tonumber(session.start)
if not read_broadcasts(KEYS[4], start) or not read_broadcasts(ARGV[6] .. session.sid, start) then return nothing end
for _, room in ipairs(rooms) do
    if not read_broadcasts(ARGV[6] .. room[1], room[2]) then return nothing end
end
return reply
