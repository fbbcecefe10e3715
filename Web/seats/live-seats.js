// Keeps a SeatState true over the socket: join the room, read the snapshot, follow the messages, mend gaps.

import { get, getKept } from '../http.js';
import { SeatState, seatsOf } from './seat-state.js';

/** A lost last message leaves no gap to see, so now and then we ask whether there was one. */
const CHECK_INTERVAL_MS = 20_000;
const RETRY_MS = 2000;

export class LiveSeats {
    state = new SeatState();
    #live;
    #eventId;
    #hooks;
    #unsubscribe = [];
    #timer = null;
    #retry = null;
    #mending = null;
    #layout = null;
    #stopped = false;

    /**
     * Hooks: `onSeats()` when the hall is known, `onChange()` when seats changed, `onJoined(ack)` after each join of
     * the room, `onRefused(error)` when the room may not be joined.
     */
    constructor(live, eventId, hooks) {
        this.#live = live;
        this.#eventId = eventId;
        this.#hooks = hooks;
        for (const type of ['locked', 'released', 'reserved']) {
            this.#unsubscribe.push(live.on(`seat-${type}`, (message) => this.#receive(type, message)));
        }
        // Redis was rebuilt or its log has ended: what we know of the seats may be wrong, and their numbering is new.
        this.#unsubscribe.push(live.on('seats-reset', (message) => message.eventId === eventId && this.#restart()));
        this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL_MS);
    }

    /** Joins the room and catches up. Called at the start and after every reconnect. */
    async join() {
        clearTimeout(this.#retry);
        // After a lost connection messages may be missing at the end, where no gap shows: buffer until a sync has
        // closed it.
        this.state.pause();
        try {
            const ack = await this.#live.request('join-seat-selection', { eventId: this.#eventId });
            if (this.#stopped) return;
            this.#hooks.onJoined(ack);
        } catch (error) {
            if (this.#stopped || error.code === 'NOT_CONNECTED') return;
            if (error.code === 'TIMEOUT') this.#again();
            else this.#hooks.onRefused(error);
            return;
        }
        // A mending from before the loss may still be reading a snapshot; what it brings is older than this join.
        await this.#mending;
        if (!this.#stopped) await this.#mend(this.state.seq < 0 ? 'reset' : 'gap');
    }

    /** `keepRoom`: who holds seats stays in the room, so that a reload brings them back here. */
    stop({ keepRoom }) {
        this.#stopped = true;
        clearInterval(this.#timer);
        clearTimeout(this.#retry);
        for (const unsubscribe of this.#unsubscribe) unsubscribe();
        if (!keepRoom) this.#live.emit('leave-seat-selection', { eventId: this.#eventId });
    }

    #receive(type, message) {
        if (message.eventId !== this.#eventId || !Array.isArray(message.seatIds)) return;
        const outcome = this.state.receive(type, message);
        if (outcome === 'applied') this.#hooks.onChange();
        if (outcome === 'gap') this.#mend('gap');
    }

    async #restart() {
        this.state.pause();
        await this.#mending;
        if (!this.#stopped) await this.#mend('reset');
    }

    #check() {
        if (this.state.ready && this.#live.state === 'connected') this.#mend('gap');
    }

    /** One mending at a time. `need`: `'gap'` asks for the changes, `'reset'` for everything. */
    #mend(need) {
        this.#mending ??= this.#mendUntilWhole(need).finally(() => {
            this.#mending = null;
        });
        return this.#mending;
    }

    async #mendUntilWhole(need) {
        try {
            // A hall this busy can outrun us a few times; after that we wait a little.
            for (let round = 0; round < 5 && need !== 'ok' && !this.#stopped; round += 1) {
                need = need === 'reset' ? await this.#snapshot() : await this.#sync();
            }
            if (need !== 'ok') this.#again();
        } catch (error) {
            if (error.code !== 'NOT_CONNECTED') this.#again();
        }
    }

    async #sync() {
        const answer = await this.#live.request('sync', { eventId: this.#eventId, seq: this.state.seq });
        const outcome = this.state.merge(answer);
        this.#hooks.onChange();
        return outcome;
    }

    async #snapshot() {
        const path = `/api/events/${encodeURIComponent(this.#eventId)}`;
        const { seq, layoutVersion, statuses } = await get(`${path}/seats?format=compact`);
        const isNew = layoutVersion !== this.#layout?.layoutVersion;
        // Never changes under its version: the browser keeps it, and a reload fetches one letter per seat.
        if (isNew) this.#layout = await getKept(`${path}/layout?version=${layoutVersion}`);
        if (this.#stopped) return 'ok';
        const outcome = this.state.load({ seq, seats: seatsOf(this.#layout, statuses) });
        if (isNew) this.#hooks.onSeats();
        else this.#hooks.onChange();
        return outcome;
    }

    #again() {
        if (this.#stopped) return;
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.join(), RETRY_MS);
    }
}
