// What is on sale, and a way back for whoever has a place somewhere.

import { actionButton, fill, h, notify } from '../dom.js';
import { dateTime } from '../format.js';
import { get } from '../http.js';
import { live, restoredState } from '../connection/live.js';

export const statusWords = { scheduled: 'Not open yet', open: 'On sale', paused: 'Paused', closed: 'Closed' };

export function statusBadge(status) {
    const props = { class: `badge ${status}`, 'data-testid': 'event-status', dataset: { status } };
    return h('span', props, statusWords[status] ?? status);
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
            const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : '';
            const answer = await get(`/api/events${query}`);
            if (stopped) return;
            if (!cursor) list.replaceChildren();
            list.append(...answer.events.map(card));
            if (list.children.length === 0) list.append(h('li', { class: 'card' }, 'Nothing is on sale right now.'));
            const next = answer.nextCursor;
            fill(more, next && actionButton({ class: 'quiet' }, 'Show more', () => load(next), showError));
        } catch (error) {
            if (stopped) return;
            if (!cursor) list.replaceChildren();
            fill(more, h('p', { class: 'message', role: 'alert' }, error.message),
                actionButton({ class: 'quiet' }, 'Try again', () => load(cursor), showError));
        }
    }

    const showError = (error) => notify(error.message, 'error');

    function card(event) {
        const href = `#/events/${encodeURIComponent(event.id)}`;
        const link = { class: 'card event', href, 'data-testid': 'event', dataset: { eventId: event.id } };
        return h('li', {}, h('a', link,
            statusBadge(event.status),
            h('h2', {}, event.title),
            h('p', { class: 'soft' }, event.venue),
            h('p', { class: 'soft' }, dateTime(event.startsAt))));
    }

    function showWayBack(state) {
        const id = placeOf(state);
        back.hidden = !id;
        const href = `#/events/${encodeURIComponent(id)}`;
        const link = { class: 'card way-back', href, 'data-testid': 'way-back' };
        fill(back, h('a', link, 'Your place is kept. Go back to it →'));
    }

    const off = live.on('session-restored', showWayBack);
    const offStatus = live.on('event-status-changed', () => load());
    const offState = live.onState((state) => state === 'connected' && load());
    fill(list, h('li', { class: 'soft' }, 'Loading…'));
    fill(outlet, h('section', { class: 'stack', 'data-testid': 'events-page' },
        h('h1', { tabindex: '-1' }, 'Events'), back, list, more));
    showWayBack(restoredState());
    load();
    return {
        title: 'Events',
        stop() {
            stopped = true;
            off();
            offStatus();
            offState();
        },
    };
}
