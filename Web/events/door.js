// An event's door: what it is, what it costs, and the way in.

import { actionButton, h, setText } from '../dom.js';
import { dateTime, money, number } from '../format.js';

/** `context`: `{event, message, enter()}`. Gives `{element, setStatus, setAvailability, stop}`. */
export function doorView({ event, message, enter }) {
    const alert = h('p', {
        class: 'message', role: 'alert', 'data-testid': 'door-message', hidden: !message,
    }, message ?? '');
    const state = h('p', { 'data-testid': 'door-state' });
    const queued = event.queue?.enabled !== false;
    const button = actionButton({ class: 'primary', 'data-testid': 'enter' }, '', enter, (error) => {
        alert.hidden = false;
        setText(alert, error.message);
    });
    const free = new Map();
    const rows = (event.sections ?? []).map((section) => {
        const cell = h('td', { class: 'number' });
        free.set(section.name, cell);
        return h('tr', {}, h('th', { scope: 'row' }, section.name),
            h('td', { class: 'number' }, money(section.price, event.currency)), cell);
    });
    const heads = [['Section'], ['Price', 'number'], ['Free', 'number']];

    function setStatus(status) {
        const opensAt = event.sale?.opensAt;
        const isLobby = status === 'scheduled' && event.queue?.mode === 'lobby';
        setText(state, {
            open: `The sale is open.${queued ? ' Everyone enters through a fair queue: first come, first in.' : ''}`,
            paused: `The sale is paused for the moment.${queued ? ' You can already take a place in the queue.' : ''}`,
            scheduled: opensAt ? `The sale opens ${dateTime(opensAt)}.` : 'The sale is not open yet.',
            closed: 'The sale is closed.',
        }[status] ?? '');
        button.hidden = status === 'closed' || (status !== 'open' && !queued);
        setText(button, isLobby ? 'Enter the lobby' : queued ? 'Join the waiting room' : 'Choose seats');
    }

    function setAvailability(available) {
        for (const [name, cell] of free) if (name in available) setText(cell, number(available[name]));
    }

    setStatus(event.status);
    setAvailability(event.counts?.bySection ?? {});
    return {
        element: h('section', { class: 'card stack door', 'data-testid': 'door', 'aria-labelledby': 'door-title' },
            h('h2', { id: 'door-title', tabindex: '-1' }, 'Tickets'), alert, state, button,
            rows.length > 0 && h('table', { class: 'prices' },
                h('thead', {}, h('tr', {}, heads.map(([text, kind]) => h('th', { scope: 'col', class: kind }, text)))),
                h('tbody', {}, rows))),
        setStatus,
        setAvailability,
        stop() {},
    };
}
