// Paying for a reservation. The page shows what the service says of it, so it survives a reload at any moment.

import { actionButton, confirmButton, fill, focusHeading, h, setText } from '../dom.js';
import { countdown } from '../countdown.js';
import { serverClock } from '../clock.js';
import { money } from '../format.js';
import { get, post } from '../http.js';
import { ticket } from '../tickets/ticket.js';

const methods = [
    ['sandbox', 'Sandbox card', 'pays at once'],
    ['sandbox-slow', 'Sandbox card, slow', 'pays after three seconds'],
    ['sandbox-decline', 'Sandbox card, declined', 'is refused'],
];
const results = {
    paid: ['You have your seats', 'The payment succeeded. This is your ticket.'],
    paying: ['Payment under way', 'We are waiting for the payment provider. This page changes by itself.'],
    expired: ['The reservation has expired', 'It was not paid in time, and the seats were given back.'],
    cancelled: ['The reservation is cancelled', 'The seats were given back.'],
    refund_due: ['The payment is being refunded', 'It came too late for these seats. You get your money back.'],
    refunded: ['The payment was refunded', 'The seats were given back.'],
};
/** How often an unfinished payment is looked at. */
const LOOK_AGAIN_MS = 2000;

export function checkoutView(outlet, { reservationId }) {
    const path = `/api/reservations/${encodeURIComponent(reservationId)}`;
    const heading = h('h1', { tabindex: '-1' }, 'Checkout');
    const body = h('div', { class: 'stack' }, h('p', { class: 'soft' }, 'Loading…'));
    const message = h('p', { class: 'message', role: 'alert', 'data-testid': 'checkout-message', hidden: true });
    const left = countdown({ label: 'Pay within', testId: 'checkout-countdown', onEnd: () => later(1000) });
    let event = null;
    let shownStatus = null;
    let lookAgain = null;
    let stopped = false;
    let method = methods[0][0];

    const say = (text) => {
        message.hidden = !text;
        setText(message, text ?? '');
    };

    function later(delayMs = LOOK_AGAIN_MS) {
        clearTimeout(lookAgain);
        if (!stopped) lookAgain = setTimeout(load, delayMs);
    }

    async function load() {
        try {
            const reservation = await get(path);
            // A failed look-up only costs the title.
            event ??= await get(`/api/events/${encodeURIComponent(reservation.eventId)}`).catch(() => null);
            show(reservation);
        } catch (error) {
            if (stopped) return;
            say(error.message);
            if (error.status === 0 || error.status >= 500) later();
            else if (shownStatus === null) fill(body, h('a', { class: 'button', href: '#/tickets' }, 'My tickets'));
        }
    }

    function show(reservation) {
        if (stopped) return;
        const { status, expiresAt } = reservation;
        const isPending = status === 'pending';
        left.set(isPending ? expiresAt : null);
        clearTimeout(lookAgain);
        // The service ends a reservation a moment after its time: until then it is asked again.
        if (status === 'paying' || (isPending && serverClock.remainingMs(expiresAt) <= 0)) later();
        if (status === shownStatus) return;
        shownStatus = status;
        outlet.dataset.status = status;
        if (isPending) showPayment(reservation);
        else showResult(reservation);
    }

    function showPayment(reservation) {
        const choices = methods.map(([value, name, what]) => {
            const input = h('input', {
                type: 'radio', name: 'method', value, 'data-testid': `method-${value}`, checked: value === method,
            });
            input.addEventListener('change', () => {
                method = value;
            });
            const words = h('span', {}, name, h('span', { class: 'soft' }, ` – ${what}`));
            return h('label', { class: 'choice' }, input, words);
        });
        const underWay = h('p', { class: 'soft', role: 'status', 'data-testid': 'paying' });
        // While the payment runs nothing else can be pressed: its answer decides what is possible next.
        const choice = h('fieldset', {}, h('legend', {}, 'Pay with'), choices);
        const cancel = h('fieldset', { class: 'bare' }, confirmButton({
            testId: 'cancel-reservation', label: 'Cancel', question: 'Yes, give the seats back', keep: 'Keep my seats',
            async action() {
                await post(`${path}/cancel`);
                await load();
            },
            onError: (error) => say(error.message),
        }));
        const price = money(reservation.totalAmount, reservation.currency);
        const payButton = actionButton({ class: 'primary', 'data-testid': 'pay' }, `Pay ${price}`, async () => {
            setText(underWay, 'Paying… please do not close this page.');
            choice.disabled = true;
            cancel.disabled = true;
            try {
                await pay(reservation);
            } finally {
                setText(underWay, '');
                choice.disabled = false;
                cancel.disabled = false;
            }
        }, (error) => say(error.message));
        fill(body, left.element, ticket(reservation, event), choice, payButton, underWay, cancel);
    }

    async function pay(reservation) {
        say(null);
        try {
            const answer = await post('/api/payments/process', { reservationId, paymentMethod: method });
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
        const { status, eventId } = reservation;
        const [title, text] = results[status] ?? [`Reservation: ${status}`, ''];
        const isOver = status === 'expired' || status === 'cancelled';
        const [ticketsClass, eventClass] = isOver ? ['quiet', 'primary'] : ['primary', 'quiet'];
        const links = [
            h('a', { class: `button ${ticketsClass}`, href: '#/tickets', 'data-testid': 'to-tickets' }, 'My tickets'),
            h('a', {
                class: `button ${eventClass}`, 'data-testid': 'to-event',
                href: `#/events/${encodeURIComponent(eventId)}`,
            }, isOver ? 'Choose seats again' : 'Back to the event'),
        ];
        say(null);
        setText(heading, title);
        document.title = `${title} · Holdfast`;
        fill(body, h('div', { role: 'status', 'data-testid': 'result', dataset: { status } }, h('p', {}, text)),
            ticket(reservation, event), h('div', { class: 'row' }, isOver ? links.reverse() : links));
        focusHeading(outlet);
    }

    fill(outlet, h('section', { class: 'narrow stack', 'data-testid': 'checkout-page' }, heading, message, body));
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
