-- ShowSeats: the letter of every place, and the message up to which that is true.
--
-- Returns {"OK", epoch, seq, letters}. O(places) at the speed of memory: 60,000 take some 20 µs.
expire_due(100)
return done({"OK", epoch, seq, call("GET", MAP) or ""})
