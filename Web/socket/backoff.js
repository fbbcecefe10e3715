// How long to wait before the next attempt: a second, then twice as long each time up to 30 s. Jitter keeps a hall
// full of clients, all cut off in the same moment, from coming back in the same moment.

const FIRST_MS = 1000;
const LAST_MS = 30_000;

/** `attempt` counts from 0; `random` gives 0 up to 1. */
export function backoffMs(attempt, random = Math.random) {
    if (attempt <= 0) return FIRST_MS + random() * 250;
    const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
    return ceiling / 2 + random() * (ceiling / 2);
}
