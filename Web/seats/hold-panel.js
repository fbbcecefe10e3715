// What one holds: the seats, their price, the time left, and the way to the checkout. Two cards: the seats, and a bar
// with the next step that stays in sight on a phone.

import { actionButton, fill, h, notify, setText } from '../dom.js';
import { countdown } from '../countdown.js';
import { clockText, money, plural, seatName } from '../format.js';
import { serverClock } from '../clock.js';
import { reserve } from '../checkout/reserve.js';

/**
 * `context`: `{event, live, selection, seatOf(id), statusOf(id), giveBack(id), leave()}`. Gives `{element, say, show,
 * stop}`.
 */
export function holdPanel({ event, live, selection, seatOf, statusOf, giveBack, leave }) {
    const { id: eventId, currency } = event;
    const maxSeats = event.sale?.maxSeatsPerUser ?? Infinity;
    const hold = countdown({ label: 'Held for', testId: 'hold-countdown' });
    const message = h('p', { class: 'message', role: 'alert', 'data-testid': 'seat-message', hidden: true });
    const title = h('h2', { id: 'hold-title', class: 'small', tabindex: '-1' }, 'Your seats');
    const hint = h('p', { class: 'soft' }, Number.isFinite(maxSeats)
        ? `Choose up to ${plural(maxSeats, 'seat')} on the map or in the list.`
        : 'Choose your seats on the map or in the list.');
    const chosen = h('ul', { class: 'chosen', 'data-testid': 'selected-seats' });
    const total = h('strong', { 'data-testid': 'total' });
    let shownShape = null;
    let extension = null;

    const say = (text) => {
        message.hidden = !text;
        setText(message, text ?? '');
        bar.hidden = !text && selection.desired.length === 0;
    };
    const showError = (error) => say(error.message);

    const extend = actionButton({ class: 'quiet', 'data-testid': 'extend-hold' }, 'More time', async () => {
        // The same name until an answer came: asked again after a lost one it counts once.
        extension ??= `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
        try {
            selection.adopt(await live.request('hold-extend', { eventId, requestId: extension }));
            extension = null;
        } catch (error) {
            if (error.code !== 'TIMEOUT' && error.code !== 'NOT_CONNECTED') extension = null;
            throw error;
        }
        const left = selection.extensionsLeft;
        const again = left === 1 ? 'once more' : `${left} more times`;
        notify(`More time granted. ${left > 0 ? `You can ask ${again}.` : 'That was the last time.'}`);
    }, showError);
    const clear = actionButton({ class: 'quiet', 'data-testid': 'clear-selection' }, 'Give back all', async () => {
        say(null);
        await selection.want([]);
        title.focus({ preventScroll: true });
    }, showError);
    const buy = actionButton({ class: 'primary', 'data-testid': 'checkout' }, 'Go to payment', async () => {
        if (!selection.isSettled) {
            say('One moment: your last choice is still being confirmed.');
            return;
        }
        const reservation = await reserve(eventId, selection.confirmed);
        location.hash = `#/checkout/${encodeURIComponent(reservation.reservationId)}`;
    }, showError);
    const actions = h('div', { class: 'row' }, extend, clear);
    const price = h('p', { class: 'total' }, hold.element, h('span', {}, 'Total ', total));
    const bar = h('div', { class: 'card hold-bar', hidden: true }, message, price, buy);

    function show() {
        const items = selection.desired.map((id) => seatOf(id) ?? { id, section: id, row: '', number: '', price: 0 });
        showItems(items);
        setText(total, money(items.reduce((sum, seat) => sum + seat.price, 0), currency));
        hint.hidden = items.length > 0;
        actions.hidden = items.length === 0;
        price.hidden = items.length === 0;
        buy.hidden = items.length === 0;
        bar.hidden = items.length === 0 && message.hidden;
        buy.dataset.settled = String(selection.isSettled);
        hold.set(selection.confirmed.length > 0 ? selection.expiresAt : null);
        const spent = selection.extensionsLeft === 0;
        if (spent && document.activeElement === extend) buy.focus({ preventScroll: true });
        extend.hidden = spent;
    }

    /** Rebuilt only when it differs, and with the focus where it was: other people's seats move all the time. */
    function showItems(items) {
        const shape = JSON.stringify(items.map(({ id, price: amount }) => [id, amount, statusOf(id)]));
        if (shape === shownShape) return;
        shownShape = shape;
        const buttons = () => [...chosen.querySelectorAll('button')];
        const focused = buttons().indexOf(document.activeElement);
        fill(chosen, items.map(itemOf));
        if (focused >= 0) (buttons()[Math.min(focused, items.length - 1)] ?? title).focus({ preventScroll: true });
    }

    function itemOf(seat) {
        const name = seat.row === '' ? seat.id : seatName(seat);
        const status = statusOf(seat.id);
        return h('li', { dataset: { seatId: seat.id, status }, 'data-testid': 'selected-seat' },
            h('span', {}, name),
            h('span', { class: 'price' }, money(seat.price, currency)),
            h('button', {
                type: 'button', class: 'plain', 'aria-label': `Give back ${name}`,
                on: { click: () => giveBack(seat.id) },
            }, '×'));
    }

    const off = live.on('hold-expiring', (payload) => {
        if (payload.eventId !== eventId || selection.confirmed.length === 0) return;
        const left = clockText(serverClock.remainingMs(payload.expiresAt));
        notify(`Your seats are held for ${left} more. Go to payment or ask for more time.`, 'warning');
    });

    return {
        element: h('aside', { class: 'hold', 'aria-labelledby': 'hold-title' },
            h('div', { class: 'card stack' }, title, hint, chosen, actions,
                actionButton({ class: 'quiet', 'data-testid': 'leave-event' },
                    event.queue?.enabled === false ? 'Leave' : 'Leave and give up my place', leave, showError)),
            bar),
        say,
        show,
        stop() {
            off();
            hold.stop();
        },
    };
}
