// What every seat is right now, kept true by numbered messages. Pure: no DOM, no socket.
//
// Messages carry `seq`, rising by one per message of an event. A missing number means a lost message: from then on
// messages are buffered, until `sync` (the changes since our number) or a whole snapshot closes the gap. The same
// buffer makes it safe to subscribe first and read the snapshot second, in whatever order the two arrive.

const STATUS_OF = { locked: 'locked', released: 'available', reserved: 'reserved' };
const STATUS_OF_LETTER = { a: 'available', l: 'locked', r: 'reserved' };
/** A snapshot takes a second or two; far more messages than that bring means the snapshot is useless anyway. */
const MAX_BUFFERED = 2000;

/** Joins a layout with its snapshot: one letter per seat, in the layout's order. */
export function seatsOf(layout, statuses) {
    return layout.seats.map((seat, index) => ({ ...seat, status: STATUS_OF_LETTER[statuses[index]] ?? 'available' }));
}

export class SeatState {
    seats = new Map();
    seq = -1;
    ready = false;
    #buffer = [];

    /** Takes a snapshot `{seq, seats}`, then what was buffered. Gives `'ok'` or `'gap'`. */
    load({ seq, seats }) {
        this.seats = new Map(seats.map((seat) => [seat.id, seat]));
        this.seq = seq;
        return this.#drain();
    }

    /** Takes one live message. Gives `'applied'`, `'old'`, `'buffered'`, or `'gap'` when a sync must be asked for. */
    receive(type, { seatIds, seq }) {
        if (!this.ready) {
            this.#keep({ type, seatIds, seq });
            return 'buffered';
        }
        if (seq <= this.seq) return 'old';
        if (seq > this.seq + 1) {
            this.pause();
            this.#keep({ type, seatIds, seq });
            return 'gap';
        }
        this.#apply(type, seatIds, seq);
        return 'applied';
    }

    /** Buffers from now on: the connection was lost, or a gap was seen. */
    pause() {
        this.ready = false;
    }

    /** Takes a sync answer `{seq, changes}` or `{reset:true}`. Gives `'ok'`, `'gap'`, or `'reset'`: take a snapshot. */
    merge(answer) {
        // A number below ours means that the counter began anew: ours belongs to a life that is gone.
        if (answer.reset || !Array.isArray(answer.changes) || answer.seq < this.seq) {
            this.pause();
            return 'reset';
        }
        for (const change of answer.changes) {
            if (change.seq <= this.seq) continue;
            if (change.seq !== this.seq + 1) {
                this.pause();
                return 'reset';
            }
            this.#apply(change.type, change.seatIds, change.seq);
        }
        return this.#drain();
    }

    #keep(message) {
        this.#buffer.push(message);
        if (this.#buffer.length > MAX_BUFFERED) this.#buffer.shift();
    }

    #drain() {
        const waiting = this.#buffer.sort((a, b) => a.seq - b.seq);
        this.#buffer = [];
        this.ready = true;
        for (const [index, { type, seatIds, seq }] of waiting.entries()) {
            if (seq <= this.seq) continue;
            if (seq !== this.seq + 1) {
                this.pause();
                this.#buffer = waiting.slice(index);
                return 'gap';
            }
            this.#apply(type, seatIds, seq);
        }
        return 'ok';
    }

    #apply(type, seatIds, seq) {
        for (const id of seatIds) {
            const seat = this.seats.get(id);
            if (seat && STATUS_OF[type]) seat.status = STATUS_OF[type];
        }
        this.seq = seq;
    }
}
