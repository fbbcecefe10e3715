// My tickets: every reservation of this person, newest as the service lists them, with what can still be done.

import { actionButton, fill, h, notify } from '../dom.js';
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
            const answer = await get(`/api/reservations/my${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
            const rows = await Promise.all(answer.reservations.map(async (reservation) => card(reservation, await eventOf(reservation.eventId))));
            if (stopped) return;
            if (!cursor) list.replaceChildren();
            list.append(...rows);
            if (list.children.length === 0) {
                list.append(h('p', { class: 'card', 'data-testid': 'no-tickets' }, 'You have no tickets yet. ', h('a', { href: '#/events' }, 'See the events')));
            }
            fill(more, answer.nextCursor && actionButton({ class: 'quiet' }, 'Show more', () => load(answer.nextCursor), showError));
        } catch (error) {
            if (!stopped) fill(list, h('p', { class: 'message', role: 'alert' }, error.message), actionButton({ class: 'quiet' }, 'Try again', () => load(), showError));
        }
    }

    const showError = (error) => notify(error.message, 'error');

    function card(reservation, event) {
        const actions = [];
        if (reservation.status === 'pending') {
            actions.push(h('a', { class: 'button primary', href: `#/checkout/${encodeURIComponent(reservation.reservationId)}` }, 'Pay now'));
        }
        if (reservation.status === 'pending' || reservation.status === 'paid') actions.push(cancelButton(reservation));
        return ticket(reservation, event, ...actions);
    }

    /** Asks once more in place: a cancelled ticket is gone for good. */
    function cancelButton(reservation) {
        const box = h('span', { class: 'row' });
        const ask = () => fill(box, h('button', { type: 'button', class: 'quiet', 'data-testid': 'cancel', on: { click: confirm } }, 'Cancel'));
        function confirm() {
            const yes = actionButton({ class: 'danger', 'data-testid': 'cancel-confirm' }, 'Yes, give the seats back', async () => {
                await post(`/api/reservations/${encodeURIComponent(reservation.reservationId)}/cancel`);
                notify('Cancelled. The seats were given back.');
                await load();
            }, (error) => {
                showError(error);
                ask();
            });
            fill(box, yes, h('button', { type: 'button', class: 'quiet', on: { click: ask } }, 'Keep'));
            yes.focus();
        }
        ask();
        return box;
    }

    fill(outlet, h('section', { class: 'narrow stack', 'data-testid': 'tickets-page' }, h('h1', { tabindex: '-1' }, 'My tickets'), list, more));
    load();
    return {
        title: 'My tickets',
        stop: () => {
            stopped = true;
        },
    };
}
