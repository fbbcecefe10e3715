// The server's clock as seen from here. Deadlines come as the server's time; a device whose clock is five minutes off
// must not show a hold as over, or as alive when it is not.
//
// Each answer's Date header bounds the offset: it was written between the request's start and its end, is cut to whole
// seconds, and may come from a header cached for up to one second. We keep the intersection of those bounds, and
// believe the device while its own clock fits in it.

const DATE_GRANULARITY_MS = 2000;

export class ServerClock {
    #low = -Infinity;
    #high = Infinity;

    /** `dateMs` is the Date header, `startMs` and `endMs` this device's time around the request. */
    observe(dateMs, startMs, endMs) {
        if (!Number.isFinite(dateMs)) return;
        const low = dateMs - endMs;
        const high = dateMs + DATE_GRANULARITY_MS - startMs;
        if (Math.max(low, this.#low) > Math.min(high, this.#high)) {
            // They contradict each other: someone's clock was set. The newest sample is the truth.
            this.#low = low;
            this.#high = high;
        } else {
            this.#low = Math.max(low, this.#low);
            this.#high = Math.min(high, this.#high);
        }
    }

    /** Milliseconds to add to this device's time. */
    get offsetMs() {
        if (!Number.isFinite(this.#low) || (this.#low <= 0 && this.#high >= 0)) return 0;
        return (this.#low + this.#high) / 2;
    }

    now() {
        return Date.now() + this.offsetMs;
    }

    remainingMs(iso) {
        return Date.parse(iso) - this.now();
    }
}

export const serverClock = new ServerClock();
