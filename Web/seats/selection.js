// The seats this person wants, and the seats the service says they have. Pure: `send` is given.
//
// Clicks change `desired` at once; one request at a time carries the whole wish, all or nothing, and the newest wish
// wins. What comes back is the truth, whatever was wished.

export class Selection {
    confirmed = [];
    desired = [];
    expiresAt = null;
    /** How often the hold may still be extended; null until the service has said. */
    extensionsLeft = null;
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

    /** Takes the service's word: a join, a restore, an expiry. A wish under way is answered by its own request. */
    adopt({ selectedSeats = [], expiresAt = null, extensionsLeft }) {
        this.#settle(selectedSeats, expiresAt ?? this.expiresAt, extensionsLeft);
        if (!this.#busy) this.desired = [...this.confirmed];
        this.#onChange();
    }

    async #pump() {
        while (!this.#busy && !sameSet(this.confirmed, this.desired)) {
            this.#busy = true;
            const sent = [...this.desired];
            try {
                const answer = await this.#send(sent);
                this.#settle(answer.selectedSeats ?? sent, answer.expiresAt, answer.extensionsLeft);
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

    #settle(selectedSeats, expiresAt, extensionsLeft = this.extensionsLeft) {
        this.extensionsLeft = extensionsLeft;
        this.confirmed = [...selectedSeats];
        this.expiresAt = this.confirmed.length > 0 ? (expiresAt ?? null) : null;
    }
}

function sameSet(a, b) {
    return a.length === b.length && a.every((id) => b.includes(id));
}
