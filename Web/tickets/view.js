// My tickets: every reservation of this person, newest as the service lists them, with what can still be done.

import { actionButton, confirmButton, fill, focusHeading, h, notify } from '../dom.js';
import { get, post } from '../http.js';
import { ticket } from './ticket.js';

export function ticketsView(outlet) {
    const list = h('div', { class: 'stack', 'data-testid': 'tickets' }, h('p', { class: 'soft' }, 'Loading…'));
    const more = h('div');
    const events = new Map();
    let stopped = false;

    function eventOf(id) {
        if (!id) return null;
        // One request per event, however many tickets it has; a failed look-up only costs the title.
        if (!events.has(id)) events.set(id, get(`/api/events/${encodeURIComponent(id)}`).catch(() => null));
        return events.get(id);
    }

    async function load(cursor) {
        try {
            const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : '';
            const answer = await get(`/api/reservations/my${query}`);
            const cards = answer.reservations.map(async (row) => card(row, await eventOf(row.eventId)));
            const rows = await Promise.all(cards);
            if (stopped) return;
            if (!cursor) list.replaceChildren();
            list.append(...rows);
            if (list.children.length === 0) {
                list.append(h('p', { class: 'card', 'data-testid': 'no-tickets' }, 'You have no tickets yet. ',
                    h('a', { href: '#/events' }, 'See the events')));
            }
            const next = answer.nextCursor;
            fill(more, next && actionButton({ class: 'quiet' }, 'Show more', () => load(next), showError));
        } catch (error) {
            if (stopped) return;
            fill(cursor ? more : list, h('p', { class: 'message', role: 'alert' }, error.message),
                actionButton({ class: 'quiet' }, 'Try again', () => load(cursor), showError));
        }
    }

    const showError = (error) => notify(error.message, 'error');

    function card(reservation, event) {
        const actions = [];
        if (reservation.status === 'pending') {
            const href = `#/checkout/${encodeURIComponent(reservation.reservationId)}`;
            const pay = h('a', { class: 'button primary', href, 'data-testid': 'pay-now' }, 'Pay now');
            actions.push(pay, cancelButton(reservation));
        }
        return ticket(reservation, event, ...actions);
    }

    /** A ticket given back is gone for good, so it asks once more; a paid one cannot be given back. */
    function cancelButton(reservation) {
        return confirmButton({
            testId: 'cancel', label: 'Cancel', question: 'Yes, give the seats back', onError: showError,
            async action() {
                await post(`/api/reservations/${encodeURIComponent(reservation.reservationId)}/cancel`);
                notify('Cancelled. The seats were given back.');
                await load();
                focusHeading(outlet);
            },
        });
    }

    fill(outlet, h('section', { class: 'narrow stack', 'data-testid': 'tickets-page' },
        h('h1', { tabindex: '-1' }, 'My tickets'), list, more));
    load();
    return {
        title: 'My tickets',
        stop: () => {
            stopped = true;
        },
    };
}
