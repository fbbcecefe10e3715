// What is on sale, and a way back for whoever has a place somewhere.

import { actionButton, fill, h, notify } from '../dom.js';
import { dateTime } from '../format.js';
import { get } from '../http.js';
import { live, restoredState } from '../connection/live.js';

export const statusWords = { scheduled: 'Not open yet', open: 'On sale', paused: 'Paused', closed: 'Closed' };

export function statusBadge(status) {
    return h('span', { class: `badge ${status}`, 'data-testid': 'event-status', dataset: { status } }, statusWords[status] ?? status);
}

/** The event a restored person was last busy with, or null. */
export function placeOf(state) {
    return state?.seatEventId ?? state?.queueEventId ?? state?.eventId ?? null;
}

export function eventsView(outlet) {
    const list = h('ul', { class: 'events', 'data-testid': 'events' });
    const back = h('div', { hidden: true });
    const more = h('div');
    let stopped = false;

    async function load(cursor) {
        try {
            const answer = await get(`/api/events${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
            if (stopped) return;
            if (!cursor) list.replaceChildren();
            list.append(...answer.events.map(card));
            if (list.children.length === 0) list.append(h('li', { class: 'card' }, 'Nothing is on sale at the moment.'));
            fill(more, answer.nextCursor && actionButton({ class: 'quiet' }, 'Show more', () => load(answer.nextCursor), showError));
        } catch (error) {
            if (stopped) return;
            fill(more, h('p', { class: 'message', role: 'alert' }, error.message), actionButton({ class: 'quiet' }, 'Try again', () => load(cursor), showError));
        }
    }

    const showError = (error) => notify(error.message, 'error');

    function card(event) {
        return h('li', {}, h('a', { class: 'card event', href: `#/events/${encodeURIComponent(event.id)}`, 'data-testid': 'event', dataset: { eventId: event.id } },
            statusBadge(event.status),
            h('h2', {}, event.title),
            h('p', { class: 'soft' }, event.venue),
            h('p', { class: 'soft' }, dateTime(event.startsAt))));
    }

    function showWayBack(state) {
        const id = placeOf(state);
        back.hidden = !id;
        if (id) fill(back, h('a', { class: 'card way-back', href: `#/events/${encodeURIComponent(id)}`, 'data-testid': 'way-back' }, 'Your place is kept. Go back to it →'));
    }

    const off = live.on('session-restored', showWayBack);
    const offStatus = live.on('event-status-changed', () => load());
    fill(outlet, h('section', { class: 'stack', 'data-testid': 'events-page' }, h('h1', { tabindex: '-1' }, 'Events'), back, list, more));
    showWayBack(restoredState());
    load();
    return {
        title: 'Events',
        stop() {
            stopped = true;
            off();
            offStatus();
        },
    };
}
