// One event: door, waiting room or seats, whichever the service says this person is at. The service decides; this
// page asks again after every connect, so reload, reconnect and another tab all end in the same place.

import { fill, focusHeading, h, notify, setText } from '../dom.js';
import { dateTime, plural } from '../format.js';
import { get, post } from '../http.js';
import { live } from '../connection/live.js';
import { forgetStart, waitingRoomView } from '../waiting-room/view.js';
import { seatsView } from '../seats/view.js';
import { doorView } from './door.js';
import { statusBadge } from './list.js';
import { unpaidNotice } from './unpaid.js';

const LOOK_AGAIN_MS = 2000;

export function eventPage(outlet, { eventId }) {
    const page = new EventPage(outlet, eventId);
    page.load();
    return page;
}

class EventPage {
    title = 'Event';
    #outlet;
    #eventId;
    #event = null;
    #phase = null;
    #view = null;
    #body = h('div');
    #here = h('span', { class: 'soft', 'data-testid': 'user-count' });
    #badge = h('span');
    #unpaid;
    #unsubscribe;
    #retry = null;
    #stopped = false;
    #round = 0;

    constructor(outlet, eventId) {
        this.#outlet = outlet;
        this.#eventId = eventId;
        this.#unpaid = unpaidNotice(eventId);
        const mine = (listener) => (payload) => this.#event && payload.eventId === eventId && listener(payload);
        this.#unsubscribe = [
            live.onState((state) => state === 'connected' && this.#event && this.#comeBack()),
            live.on('session-restored', (state) => this.#event && this.#restore(state)),
            live.on('room-info', mine(({ userCount }) => this.#showHere(userCount))),
            live.on('queue-updated', mine((queue) => this.#phase === 'waiting' && this.#view.update(queue))),
            live.on('queue-entry-allowed', mine((entry) => this.#admitted(entry))),
            live.on('queue-entry-expired', mine(({ message }) => this.#shownOut(message || 'Your time is over.'))),
            live.on('queue-cleared', mine(({ message }) => this.#shownOut(message || 'The queue was cleared.'))),
            live.on('event-status-changed', mine(({ status }) => this.#statusChanged(status))),
            live.on('ticket-updated', mine(({ available }) => available && this.#view?.setAvailability?.(available))),
        ];
    }

    async load() {
        clearTimeout(this.#retry);
        fill(this.#outlet, h('p', { class: 'soft' }, 'Loading…'));
        try {
            this.#event = await get(`/api/events/${encodeURIComponent(this.#eventId)}`);
        } catch (error) {
            if (this.#stopped) return;
            fill(this.#outlet, h('section', { class: 'narrow stack' }, h('h1', { tabindex: '-1' }, 'Event'),
                h('p', { class: 'message', role: 'alert' }, error.message),
                h('a', { class: 'button', href: '#/events' }, 'All events')));
            focusHeading(this.#outlet);
            if (error.status === 0 || error.status >= 500) this.#retry = setTimeout(() => this.load(), LOOK_AGAIN_MS);
            return;
        }
        if (this.#stopped) return;
        this.title = this.#event.title;
        document.title = `${this.title} · Holdfast`;
        const heading = h('h1', { tabindex: '-1' }, this.#event.title);
        const page = { class: 'stack', 'data-testid': 'event-page', dataset: { eventId: this.#eventId } };
        fill(this.#outlet, h('section', page,
            h('header', { class: 'event-head' }, h('div', { class: 'row' }, this.#badge, this.#here), heading,
                h('p', { class: 'soft' }, `${this.#event.venue} · ${dateTime(this.#event.startsAt)}`)),
            this.#unpaid.element, this.#body));
        heading.focus({ preventScroll: true });
        this.#showStatus();
        this.#unpaid.look();
        await this.#find();
    }

    stop() {
        this.#stopped = true;
        clearTimeout(this.#retry);
        for (const off of this.#unsubscribe) off();
        // Who only looked in leaves; who waits, is inside or holds seats is still here while reading another page.
        const isIdle = this.#phase === 'seats' && !this.#isQueued && !this.#view.holdsSeats;
        const onlyLooked = this.#phase === 'door' || isIdle;
        this.#view?.stop();
        if (onlyLooked) live.emit('leave-event', { eventId: this.#eventId });
    }

    get #isQueued() {
        return this.#event.queue?.enabled !== false;
    }

    /** After a lost connection: what was said meanwhile was not heard, the sale's state included. */
    async #comeBack() {
        this.#unpaid.look();
        try {
            const { status } = await get(`/api/events/${encodeURIComponent(this.#eventId)}`);
            if (!this.#stopped && status !== this.#event.status) this.#statusChanged(status);
        } catch {
            // Asking for the place, below, fails as well and tries again.
        }
        if (!this.#stopped) await this.#find();
    }

    /** Asks where this person is, and shows that. */
    async #find() {
        const round = ++this.#round;
        clearTimeout(this.#retry);
        try {
            if (live.state === 'connected') {
                live.request('join-event', { eventId: this.#eventId })
                    .then((ack) => this.#showHere(ack.userCount), () => {});
            }
            if (!this.#isQueued) {
                if (this.#phase === 'seats') this.#view.resume();
                else if (this.#event.status === 'open') this.#show('seats', {});
                else this.#show('door', {});
                return;
            }
            const queue = await get(`/api/queue/status/${encodeURIComponent(this.#eventId)}`);
            if (round !== this.#round || this.#stopped) return;
            this.#route(queue);
        } catch (error) {
            if (round !== this.#round || this.#stopped) return;
            if (this.#phase === null) this.#show('door', { message: error.message });
            if (error.status === 0 || error.status >= 500) this.#retry = setTimeout(() => this.#find(), LOOK_AGAIN_MS);
        }
    }

    #route(queue) {
        switch (queue.status) {
        case 'admitted':
            this.#admitted(queue, { resume: true });
            break;
        case 'waiting':
        case 'lobby':
            if (this.#phase === 'waiting') this.#view.update(queue);
            else this.#show('waiting', { queue });
            // Also puts this socket into the queue's room; asking again never costs a place.
            live.request('join-queue', { eventId: this.#eventId }).then((ack) => this.#joined(ack), () => {});
            break;
        case 'closed':
            this.#show('door', {});
            break;
        default:
            if (this.#phase !== 'door') this.#show('door', {});
        }
    }

    #joined(ack) {
        if (this.#stopped) return;
        if (ack.status === 'admitted') this.#admitted(ack);
        else if (this.#phase === 'waiting') this.#view.update(ack);
    }

    async #enter() {
        if (!this.#isQueued) {
            this.#show('seats', {});
            return;
        }
        // Over the socket when there is one, because being connected is what keeps a place warm; else over HTTP.
        const queue = live.state === 'connected'
            ? await live.request('join-queue', { eventId: this.#eventId })
            : await post(`/api/queue/check/${encodeURIComponent(this.#eventId)}`);
        if (this.#stopped) return;
        if (queue.status === 'admitted') this.#admitted(queue);
        else if (queue.status === 'waiting' || queue.status === 'lobby') this.#show('waiting', { queue });
        else this.#show('door', {});
    }

    #admitted({ expiresAt, message }, { resume = false } = {}) {
        forgetStart(this.#eventId);
        if (this.#phase === 'seats') {
            if (expiresAt) this.#view.setPass(expiresAt);
            if (resume) this.#view.resume();
            return;
        }
        if (this.#phase === 'waiting') notify(message || 'You are in. Choose your seats now.');
        document.title = `You are in · ${this.title}`;
        this.#show('seats', { expiresAt });
    }

    #restore(state) {
        const { seatEventId, queueEventId, queue } = state;
        if (seatEventId === this.#eventId && this.#phase === 'seats') this.#view.restore(state);
        else if (queueEventId === this.#eventId && queue && this.#phase === 'waiting') this.#route(queue);
    }

    #show(phase, { message, queue, expiresAt } = {}) {
        if (this.#stopped) return;
        // The keyboard follows, unless it is busy elsewhere on the page.
        const isFocusHere = document.activeElement === document.body || this.#body.contains(document.activeElement);
        this.#view?.stop();
        this.#phase = phase;
        const event = this.#event;
        const leave = async () => {
            await post(`/api/queue/leave/${encodeURIComponent(this.#eventId)}`);
            forgetStart(this.#eventId);
            this.#show('door', {});
        };
        if (phase === 'seats') {
            this.#view = seatsView({
                event, live, passExpiresAt: expiresAt, leave: this.#isQueued ? leave : () => this.#goAway(),
                turnedAway: (reason) => this.#show('door', { message: reason }),
            });
        } else if (phase === 'waiting') {
            const askDraw = () => get(`/api/queue/draw/${encodeURIComponent(this.#eventId)}`);
            this.#view = waitingRoomView({ event, queue, leave, askDraw });
            this.#view.setPaused(event.status === 'paused');
        } else {
            this.#view = doorView({ event, message, enter: () => this.#enter() });
        }
        if (phase !== 'seats') document.title = `${this.title} · Holdfast`;
        fill(this.#body, this.#view.element);
        if (isFocusHere) focusHeading(this.#view.element);
    }

    #shownOut(message) {
        this.#unpaid.look();
        this.#show('door', { message: `${message} You can join the queue again.` });
    }

    async #goAway() {
        await live.request('seat-selection-changed', { eventId: this.#eventId, seats: [] });
        location.hash = '#/events';
    }

    #statusChanged(status) {
        this.#event.status = status;
        this.#showStatus();
        if (this.#phase === 'waiting') this.#view.setPaused(status === 'paused');
        else this.#view?.setStatus(status);
        if (status === 'closed' && this.#phase === 'waiting') this.#show('door', {});
        // A lobby that opens draws its places: everyone asks for their own.
        else if (status === 'open') this.#find();
    }

    #showStatus() {
        fill(this.#badge, statusBadge(this.#event.status));
    }

    #showHere(userCount) {
        if (Number.isFinite(userCount)) setText(this.#here, `${plural(userCount, 'person', 'people')} here`);
    }
}
