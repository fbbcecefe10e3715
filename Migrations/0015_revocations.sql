-- Sessions that were ended, found by when that was: a Redis that went back in time has some of them again.
CREATE INDEX refresh_families_by_revocation ON refresh_families (revoked_at, session_handle)
    WHERE revoked_at IS NOT NULL;

-- Families whose session ended and whose next refresh begins another; few at any time.
CREATE INDEX refresh_families_rotating ON refresh_families (session_handle) WHERE rotates;
