// Seats ordered and not yet paid: whoever left the checkout finds the way back to it.

import { fill, h } from '../dom.js';
import { plural } from '../format.js';
import { get } from '../http.js';

/** Gives `{element, look()}`; `look` asks the service again. */
export function unpaidNotice(eventId) {
    const element = h('div', { hidden: true });

    async function look() {
        let unpaid;
        try {
            const { reservations } = await get('/api/reservations/my');
            unpaid = reservations.find((one) => one.eventId === eventId && ['pending', 'paying'].includes(one.status));
        } catch {
            // Only a reminder: "My tickets" shows the same.
            return;
        }
        element.hidden = !unpaid;
        if (!unpaid) return;
        const path = `#/checkout/${encodeURIComponent(unpaid.reservationId)}`;
        fill(element, h('a', { class: 'card way-back', href: path, 'data-testid': 'unpaid' },
            `You ordered ${plural(unpaid.seats.length, 'seat')} and have not paid yet. Go to payment →`));
    }

    return { element, look };
}
