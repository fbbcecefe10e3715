-- RecoveryHead: which life of the counter this is.
--
-- ARGV[1] epoch offered
-- Returns {epoch, n}.
local epoch, n = head(ARGV[1])
return {epoch, digits(n)}
