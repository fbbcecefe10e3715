// The seats this person wants, and the seats the service says they have. Pure: `send` is given.
//
// Clicks change `desired` at once; one request at a time carries the whole wish, all or nothing, and the newest wish
// wins. What comes back is the truth, whatever was wished.

export class Selection {
    confirmed = [];
    desired = [];
    expiresAt = null;
    #send;
    #onChange;
    #onRefused;
    #busy = false;

    /** `send(ids)` gives `{selectedSeats, expiresAt}` or throws; `onRefused(error)` hears of refusals. */
    constructor({ send, onChange, onRefused }) {
        this.#send = send;
        this.#onChange = onChange;
        this.#onRefused = onRefused;
    }

    get isSettled() {
        return !this.#busy && sameSet(this.confirmed, this.desired);
    }

    has(id) {
        return this.desired.includes(id);
    }

    toggle(id) {
        return this.want(this.has(id) ? this.desired.filter((other) => other !== id) : [...this.desired, id]);
    }

    /** Wishes for exactly these seats. */
    want(ids) {
        this.desired = [...ids];
        this.#onChange();
        return this.#pump();
    }

    /** Takes the service's word, from a join, a restore or an expiry. A wish under way is answered by its own request. */
    adopt({ selectedSeats = [], expiresAt = null }) {
        this.confirmed = [...selectedSeats];
        this.expiresAt = this.confirmed.length > 0 ? (expiresAt ?? this.expiresAt) : null;
        if (!this.#busy) this.desired = [...this.confirmed];
        this.#onChange();
    }

    async #pump() {
        while (!this.#busy && !sameSet(this.confirmed, this.desired)) {
            this.#busy = true;
            const sent = [...this.desired];
            try {
                const answer = await this.#send(sent);
                this.#settle(answer.selectedSeats ?? sent, answer.expiresAt);
                if (sameSet(sent, this.desired)) this.desired = [...this.confirmed];
            } catch (error) {
                const truth = error.body?.selectedSeats;
                if (Array.isArray(truth)) this.#settle(truth, error.body.expiresAt ?? this.expiresAt);
                this.desired = [...this.confirmed];
                this.#onRefused(error);
            } finally {
                this.#busy = false;
            }
            this.#onChange();
        }
    }

    #settle(selectedSeats, expiresAt) {
        this.confirmed = [...selectedSeats];
        this.expiresAt = this.confirmed.length > 0 ? (expiresAt ?? null) : null;
    }
}

function sameSet(a, b) {
    return a.length === b.length && a.every((id) => b.includes(id));
}
