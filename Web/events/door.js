// The event's door: what it is, what it costs, and the way in.

import { actionButton, h, setText } from '../dom.js';
import { dateTime, money, number } from '../format.js';

/** `context`: `{event, message, enter()}`. Gives `{element, setStatus, setAvailability, stop}`. */
export function doorView({ event, message, enter }) {
    const alert = h('p', { class: 'message', role: 'alert', 'data-testid': 'door-message', hidden: !message }, message ?? '');
    const state = h('p', { 'data-testid': 'door-state' });
    const queued = event.queue?.enabled !== false;
    const button = actionButton({ class: 'primary', 'data-testid': 'enter' }, queued ? 'Join the waiting room' : 'Choose seats', enter, (error) => {
        alert.hidden = false;
        setText(alert, error.message);
    });
    const free = new Map();
    const rows = (event.sections ?? []).map((section) => {
        const cell = h('td', { class: 'number' }, number(section.rows * section.seatsPerRow));
        free.set(section.name, cell);
        return h('tr', {}, h('th', { scope: 'row' }, section.name), h('td', { class: 'number' }, money(section.price, event.currency)), cell);
    });
    const heading = h('th', { scope: 'col', class: 'number' }, 'Seats');

    function setStatus(status) {
        const isLobby = status === 'scheduled' && event.queue?.mode === 'lobby';
        setText(state, {
            open: queued ? 'The sale is open. Everyone enters through a fair queue, first come, first served.' : 'The sale is open.',
            paused: 'The sale is paused for the moment. You can already take a place in the queue.',
            scheduled: event.sale?.opensAt ? `The sale opens ${dateTime(event.sale.opensAt)}.` : 'The sale is not open yet.',
            closed: 'The sale is closed.',
        }[status] ?? '');
        button.hidden = status === 'closed' || (status === 'scheduled' && !isLobby && !queued);
        setText(button, isLobby ? 'Enter the lobby' : queued ? 'Join the waiting room' : 'Choose seats');
    }

    setStatus(event.status);
    return {
        element: h('section', { class: 'card stack', 'data-testid': 'door', 'aria-labelledby': 'door-title' },
            h('h2', { id: 'door-title' }, 'Tickets'), alert, state, button,
            rows.length > 0 && h('table', { class: 'prices' },
                h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Section'), h('th', { scope: 'col', class: 'number' }, 'Price'), heading)),
                h('tbody', {}, rows))),
        setStatus,
        setAvailability(available) {
            setText(heading, 'Free');
            for (const [name, count] of Object.entries(available)) if (free.has(name)) setText(free.get(name), number(count));
        },
        stop() {},
    };
}
