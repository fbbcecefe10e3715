// Paying for a reservation. The page shows what the service says of it, so it survives a reload at any moment.

import { actionButton, fill, h, setText } from '../dom.js';
import { countdown } from '../countdown.js';
import { money } from '../format.js';
import { get, post } from '../http.js';
import { ticket } from '../tickets/ticket.js';

const methods = [
    ['sandbox', 'Sandbox card', 'pays at once'],
    ['sandbox-slow', 'Sandbox card, slow', 'pays after three seconds'],
    ['sandbox-decline', 'Sandbox card, declined', 'is refused'],
];
/** How often an unfinished payment is looked at. */
const LOOK_AGAIN_MS = 2000;

export function checkoutView(outlet, { reservationId }) {
    const path = `/api/reservations/${encodeURIComponent(reservationId)}`;
    const body = h('div', { class: 'stack' });
    const message = h('p', { class: 'message', role: 'alert', 'data-testid': 'checkout-message', hidden: true });
    const left = countdown({ label: 'Pay within', testId: 'checkout-countdown', onEnd: () => setTimeout(load, 1000) });
    let shownStatus = null;
    let lookAgain = null;
    let stopped = false;
    let method = methods[0][0];

    const say = (text) => {
        message.hidden = !text;
        setText(message, text ?? '');
    };

    async function load() {
        if (stopped) return;
        clearTimeout(lookAgain);
        try {
            show(await get(path));
        } catch (error) {
            if (stopped) return;
            say(error.message);
            if (error.status === 0 || error.status >= 500) lookAgain = setTimeout(load, LOOK_AGAIN_MS);
        }
    }

    function show(reservation) {
        if (stopped) return;
        left.set(reservation.status === 'pending' ? reservation.expiresAt : null);
        clearTimeout(lookAgain);
        if (reservation.status === 'paying') lookAgain = setTimeout(load, LOOK_AGAIN_MS);
        if (reservation.status === shownStatus) return;
        shownStatus = reservation.status;
        outlet.dataset.status = reservation.status;
        if (reservation.status === 'pending') showPayment(reservation);
        else showResult(reservation);
    }

    function showPayment(reservation) {
        const choices = methods.map(([value, name, what]) => {
            const input = h('input', { type: 'radio', name: 'method', value, 'data-testid': `method-${value}`, checked: value === method });
            input.addEventListener('change', () => {
                method = value;
            });
            return h('label', { class: 'choice' }, input, h('span', {}, name, h('span', { class: 'soft' }, ` – ${what}`)));
        });
        fill(body,
            left.element,
            ticket(reservation),
            h('fieldset', {}, h('legend', {}, 'Pay with'), choices),
            actionButton({ class: 'primary', 'data-testid': 'pay' },
                `Pay ${money(reservation.totalAmount, reservation.currency)}`, () => pay(reservation), (error) => say(error.message)),
            actionButton({ class: 'quiet', 'data-testid': 'cancel-reservation' }, 'Cancel and give the seats back', async () => {
                await post(`${path}/cancel`);
                await load();
            }, (error) => say(error.message)));
    }

    async function pay(reservation) {
        say(null);
        try {
            const answer = await post('/api/payments/process', { reservationId: reservation.reservationId ?? reservationId, paymentMethod: method });
            if (answer?.reservation) show({ ...reservation, ...answer.reservation });
            else await load();
        } catch (error) {
            if (error.code === 'PAYMENT_DECLINED') {
                say('The payment was declined. Your seats are still reserved: choose another way to pay.');
                return;
            }
            // Whatever happened, the reservation knows. It is asked before anything is said.
            await load();
            if (shownStatus === 'pending') throw error;
        }
    }

    function showResult(reservation) {
        const [title, text] = {
            paid: ['You have your seats', 'The payment succeeded. This is your ticket.'],
            paying: ['Payment under way', 'We are waiting for the payment provider. This page changes by itself.'],
            expired: ['The reservation has expired', 'It was not paid in time, and the seats were given back.'],
            cancelled: ['The reservation is cancelled', 'The seats were given back.'],
            refunded: ['The payment was refunded', 'The seats were given back.'],
        }[reservation.status] ?? [`Reservation: ${reservation.status}`, ''];
        say(null);
        const title2 = h('h2', { tabindex: '-1', 'data-testid': 'result-title' }, title);
        fill(body, h('div', { role: 'status', 'data-testid': 'result', dataset: { status: reservation.status } }, title2, h('p', {}, text)),
            ticket(reservation),
            h('div', { class: 'row' },
                h('a', { class: 'button primary', href: '#/tickets', 'data-testid': 'to-tickets' }, 'My tickets'),
                reservation.eventId && h('a', { class: 'button quiet', href: `#/events/${encodeURIComponent(reservation.eventId)}` }, 'Back to the event')));
        title2.focus({ preventScroll: true });
    }

    fill(outlet, h('section', { class: 'narrow stack', 'data-testid': 'checkout-page' },
        h('h1', { tabindex: '-1' }, 'Checkout'), message, body));
    load();

    return {
        title: 'Checkout',
        stop() {
            stopped = true;
            clearTimeout(lookAgain);
            left.stop();
            delete outlet.dataset.status;
        },
    };
}
