-- ShowSeats: every seat that is not free, and the message up to which that is true.
--
-- Returns {"OK", epoch, seq, held seats, claimed seats}. O(seats taken).
expire_due(100)
return {"OK", epoch, seq, redis.call("HKEYS", HOLDS), redis.call("HKEYS", CLAIMS)}
