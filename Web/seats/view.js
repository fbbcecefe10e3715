// Choosing seats: the map, the list, what one holds and for how long, and the way to the checkout.

import { actionButton, fill, h, notify, setText } from '../dom.js';
import { countdown } from '../countdown.js';
import { money, plural, seatName } from '../format.js';
import { LiveSeats } from './live-seats.js';
import { SeatList } from './seat-list.js';
import { SeatMap } from './seat-map.js';
import { Selection } from './selection.js';
import { reserve } from '../checkout/reserve.js';

const legend = [
    ['available', '●', 'Free'],
    ['mine', '✓', 'Yours'],
    ['locked', '○', 'Being chosen'],
    ['reserved', '×', 'Sold'],
];

/**
 * `context`: `{event, live, passExpiresAt, leave(), turnedAway(message)}`. Gives `{element, stop, resume, restore, setAvailability}`.
 */
export function seatsView(context) {
    const { event, live } = context;
    const eventId = event.id;
    const currency = event.currency;
    const maxSeats = event.sale?.maxSeatsPerUser ?? Infinity;

    const pass = countdown({ label: 'Your entry lasts', testId: 'pass-countdown' });
    const hold = countdown({ label: 'Held for', testId: 'hold-countdown' });
    const message = h('p', { class: 'message', role: 'alert', 'data-testid': 'seat-message', hidden: true });
    const chosen = h('ul', { class: 'chosen', 'data-testid': 'selected-seats' });
    const total = h('strong', { 'data-testid': 'total' });
    const hint = h('p', { class: 'soft' });

    let shownShape = null;

    const say = (text) => {
        message.hidden = !text;
        setText(message, text ?? '');
    };
    const showError = (error) => say(error.message);

    const selection = new Selection({
        send: (seats) => live.request('seat-selection-changed', { eventId, seats }),
        onChange: showAll,
        onRefused(error) {
            const gone = (error.body?.unavailable ?? []).map((id) => seats.state.seats.get(id)).filter(Boolean);
            if (gone.length > 0) {
                const names = gone.map(seatName).join('; ');
                say(`Gone a moment ago: ${names}. Nothing else changed; please choose again.`);
            } else if (error.code === 'NOT_CONNECTED') {
                say('The connection was lost before your choice was confirmed. The seats you held are kept.');
            } else {
                say(error.message);
            }
            if (error.code === 'NOT_ADMITTED') context.turnedAway(error.message);
        },
    });

    const seats = new LiveSeats(live, eventId, {
        onSeats() {
            const all = [...seats.state.seats.values()];
            map.setSeats(all);
            list.setSeats(all);
            countFree();
            showAll();
        },
        onChange: showAll,
        onJoined: (ack) => selection.adopt(ack),
        onRefused: (error) => context.turnedAway(error.message),
    });

    const statusOf = (id) => {
        if (selection.confirmed.includes(id) && selection.has(id)) return 'mine';
        if (selection.has(id) || selection.confirmed.includes(id)) return 'pending';
        return seats.state.seats.get(id)?.status ?? 'available';
    };
    const describe = (id) => {
        const seat = seats.state.seats.get(id);
        const words = { available: 'free', locked: 'being chosen', reserved: 'sold', mine: 'yours', pending: 'asking…' };
        return `${seatName(seat)} · ${money(seat.price, currency)} · ${words[statusOf(id)]}`;
    };

    function pick(id) {
        const status = statusOf(id);
        const seat = seats.state.seats.get(id);
        if (!seat) return;
        if (status === 'locked') {
            say(`${seatName(seat)} is being chosen by someone else right now.`);
        } else if (status === 'reserved') {
            say(`${seatName(seat)} is sold.`);
        } else if (status === 'available' && selection.desired.length >= maxSeats) {
            say(`You can hold at most ${plural(maxSeats, 'seat')}.`);
        } else {
            say(null);
            selection.toggle(id);
        }
    }

    const map = new SeatMap({ statusOf, describe, onPick: pick });
    const list = new SeatList({ statusOf, onPick: pick, currency });
    const extend = actionButton({ class: 'quiet', 'data-testid': 'extend-hold' }, 'More time', async () => {
        const ack = await live.request('hold-extend', { eventId });
        selection.adopt({ selectedSeats: selection.confirmed, expiresAt: ack.expiresAt });
        if (Number.isFinite(ack.extensionsLeft)) notify(`More time granted. ${plural(ack.extensionsLeft, 'extension')} left.`);
    }, showError);
    const clear = actionButton({ class: 'quiet', 'data-testid': 'clear-selection' }, 'Give back all', () => selection.want([]), showError);
    const buy = actionButton({ class: 'primary', 'data-testid': 'checkout' }, 'Go to payment', async () => {
        if (!selection.isSettled) {
            say('One moment: your last choice is still being confirmed.');
            return;
        }
        const reservation = await reserve(eventId, selection.confirmed);
        location.hash = `#/checkout/${encodeURIComponent(reservation.reservationId)}`;
    }, showError);

    function countFree() {
        const free = {};
        for (const { section, status } of seats.state.seats.values()) {
            free[section] = (free[section] ?? 0) + (status === 'available' ? 1 : 0);
        }
        list.setAvailability(free);
    }

    function showAll() {
        map.draw();
        list.refresh();
        showChosen();
        element.dataset.seq = String(seats.state.seq);
        element.dataset.ready = String(seats.state.ready);
    }

    function showChosen() {
        const items = selection.desired.map((id) => seats.state.seats.get(id) ?? { id, section: id, row: '', number: '', price: 0 });
        const shape = JSON.stringify(items.map((seat) => [seat, statusOf(seat.id)]));
        // Rebuilt only when it differs: messages about other people's seats must not take the focus away.
        if (shape !== shownShape) fill(chosen, items.map((seat) => h('li', { dataset: { seatId: seat.id, status: statusOf(seat.id) }, 'data-testid': 'selected-seat' },
            h('span', {}, seat.row === '' ? seat.id : seatName(seat)),
            h('span', { class: 'price' }, money(seat.price, currency)),
            h('button', {
                type: 'button', class: 'plain', 'aria-label': `Give back ${seat.id}`, on: { click: () => pick(seat.id) },
            }, '×'))));
        shownShape = shape;
        setText(total, money(items.reduce((sum, seat) => sum + seat.price, 0), currency));
        setText(hint, items.length === 0 ? `Choose up to ${plural(maxSeats, 'seat')} on the map or in the list.` : '');
        hint.hidden = items.length > 0;
        actions.hidden = items.length === 0;
        buy.toggleAttribute('aria-busy', !selection.isSettled);
        buy.dataset.settled = String(selection.isSettled);
        hold.set(selection.confirmed.length > 0 ? selection.expiresAt : null);
    }

    const actions = h('div', { class: 'stack', hidden: true },
        h('p', { class: 'total' }, 'Total ', total), buy, h('div', { class: 'row' }, extend, clear));
    const element = h('section', { class: 'seats', id: 'seats', 'data-testid': 'seats', 'aria-labelledby': 'seats-title' },
        h('div', { class: 'seats-head' }, h('h2', { id: 'seats-title' }, 'Choose your seats'), pass.element),
        h('div', { class: 'seats-body' },
            h('div', { class: 'seats-map' },
                map.element,
                message,
                h('ul', { class: 'legend', 'aria-label': 'Signs on the map' },
                    legend.map(([status, sign, word]) => h('li', {}, h('span', { class: `swatch ${status}`, 'aria-hidden': 'true' }, sign), word)))),
            h('aside', { class: 'card hold', 'aria-labelledby': 'hold-title' },
                h('h3', { id: 'hold-title' }, 'Your seats'), hold.element, hint, chosen, actions,
                actionButton({ class: 'quiet', 'data-testid': 'leave-event' }, 'Leave and give up my place', context.leave, showError)),
            h('details', { class: 'card seats-list', open: true, 'data-testid': 'list-panel' },
                h('summary', {}, 'Choose from a list'), list.element)));

    const mineIn = (payload) => payload.eventId === eventId;
    const unsubscribe = [
        live.on('hold-expiring', (payload) => {
            if (!mineIn(payload)) return;
            notify('Your seats are held for less than a minute more. Go to payment or ask for more time.', 'warning');
        }),
        live.on('hold-expired', (payload) => {
            if (!mineIn(payload)) return;
            const gone = payload.seatIds ?? [];
            selection.adopt({ selectedSeats: selection.confirmed.filter((id) => !gone.includes(id)), expiresAt: selection.expiresAt });
            say('The time for your seats is over and they were given back. You can choose again.');
        }),
    ];
    pass.set(context.passExpiresAt);
    showChosen();
    seats.join();

    return {
        element,
        resume: () => seats.join(),
        restore: (state) => selection.adopt({ selectedSeats: state.selectedSeats, expiresAt: state.holds?.expiresAt }),
        setPass: (expiresAt) => pass.set(expiresAt),
        setAvailability: (available) => list.setAvailability(available),
        stop() {
            for (const off of unsubscribe) off();
            seats.stop({ keepRoom: selection.confirmed.length > 0 });
            map.stop();
            pass.stop();
            hold.stop();
        },
    };
}
