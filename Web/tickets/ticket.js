import { h } from '../dom.js';
import { dateTime, money, seatName, time } from '../format.js';

export const statusWords = {
    pending: 'Waiting for payment', paying: 'Payment under way', paid: 'Paid', expired: 'Expired',
    cancelled: 'Cancelled', refunded: 'Refunded', refund_due: 'Refund under way',
};

/** A reservation as a ticket: event if known, status, seats, amount. */
export function ticket(reservation, event = null, ...actions) {
    const { reservationId, status, seats = [], totalAmount, currency, expiresAt } = reservation;
    return h('article', { class: `ticket ${status}`, 'data-testid': 'ticket', dataset: { reservationId, status } },
        h('header', {},
            h('span', { class: `badge ${status}`, 'data-testid': 'ticket-status' }, statusWords[status] ?? status),
            h('strong', { class: 'amount' }, money(totalAmount, currency))),
        event && h('h2', {}, event.title),
        event && h('p', { class: 'soft' }, `${event.venue} · ${dateTime(event.startsAt)}`),
        h('ul', { class: 'chosen' }, seats.map((seat) => h('li', { dataset: { seatId: seat.id } },
            h('span', {}, seatName(seat)), h('span', { class: 'price' }, money(seat.price, currency))))),
        status === 'pending' && h('p', { class: 'soft' }, `To be paid by ${time(expiresAt)}`),
        h('p', { class: 'soft reference' }, `Reference ${reservationId}`),
        actions.length > 0 && h('footer', { class: 'row' }, actions));
}
