// Choosing seats: the map, the list, and the panel of what one holds.

import { h } from '../dom.js';
import { countdown } from '../countdown.js';
import { money, plural, seatName } from '../format.js';
import { holdPanel } from './hold-panel.js';
import { LiveSeats } from './live-seats.js';
import { SeatList } from './seat-list.js';
import { SeatMap } from './seat-map.js';
import { Selection } from './selection.js';
import { StandingAreas, areaOf, wishFor } from './standing.js';

const legend = [
    ['available', '●', 'Free'],
    ['mine', '✓', 'Yours'],
    ['locked', '○', 'Being chosen'],
    ['reserved', '×', 'Sold'],
];
const statusWords = { available: 'free', locked: 'being chosen', reserved: 'sold', mine: 'yours', pending: 'asking…' };

/**
 * `context`: `{event, live, passExpiresAt, leave(), turnedAway(message)}`. Gives `{element, stop, resume, restore,
 * setPass, setStatus, setAvailability}`.
 */
export function seatsView(context) {
    const { event, live } = context;
    const eventId = event.id;
    const maxSeats = event.sale?.maxSeatsPerUser ?? Infinity;
    const pass = countdown({ label: 'Your entry lasts', testId: 'pass-countdown' });
    const notOpen = h('p', { class: 'message warning', role: 'status', 'data-testid': 'seats-not-open', hidden: true });
    let frame = 0;
    const areas = event.generalAdmission ?? [];
    const seatOf = (id) => seats.state.seats.get(id) ?? placeOf(id);

    /** A standing place, which is on no map. */
    function placeOf(id) {
        const area = areas.find(({ name }) => name === areaOf(id));
        return area && { id, section: area.name, row: 0, number: 0, price: area.price, status: 'available' };
    }

    const selection = new Selection({
        send: (wanted) => live.request('seat-selection-changed', { eventId, ...wishFor(wanted) }),
        onChange: showAll,
        onRefused(error) {
            const gone = (error.body?.unavailable ?? []).map(seatOf).filter(Boolean);
            if (gone.length > 0) {
                const names = gone.map(seatName).join('; ');
                panel.say(`Gone a moment ago: ${names}. Nothing else changed; please choose again.`);
            } else if (error.code === 'NOT_CONNECTED') {
                panel.say('The connection was lost before your choice was confirmed. The seats you held are kept.');
            } else {
                panel.say(error.message);
            }
            if (error.code === 'NOT_ADMITTED') context.turnedAway(error.message);
        },
    });

    const seats = new LiveSeats(live, eventId, {
        onSeats() {
            const all = [...seats.state.seats.values()];
            map.setSeats(all);
            list.setSeats(all);
            countFree(all);
            showAll();
        },
        onChange: showSoon,
        onJoined: (ack) => selection.adopt(ack),
        onRefused: (error) => context.turnedAway(error.message),
    });

    function statusOf(id) {
        if (selection.confirmed.includes(id) && selection.has(id)) return 'mine';
        if (selection.has(id) || selection.confirmed.includes(id)) return 'pending';
        return seatOf(id)?.status ?? 'available';
    }

    function describe(id) {
        const seat = seatOf(id);
        const kind = seat.accessible ? ' · accessible' : '';
        return `${seatName(seat)} · ${money(seat.price, event.currency)} · ${statusWords[statusOf(id)]}${kind}`;
    }

    function pick(id) {
        const status = statusOf(id);
        const seat = seatOf(id);
        if (!seat) return;
        if (status === 'locked') {
            panel.say(`${seatName(seat)} is being chosen by someone else right now.`);
        } else if (status === 'reserved') {
            panel.say(`${seatName(seat)} is sold.`);
        } else if (status === 'available' && !mayHaveMore()) {
            return;
        } else {
            panel.say(null);
            selection.toggle(id);
        }
    }

    function mayHaveMore() {
        if (selection.desired.length < maxSeats) return true;
        panel.say(`You can hold at most ${plural(maxSeats, 'seat')}.`);
        return false;
    }

    const standing = new StandingAreas({ areas, currency: event.currency, selection, mayHaveMore });
    const map = new SeatMap({ statusOf, describe, onPick: pick });
    const list = new SeatList({ statusOf, onPick: pick, currency: event.currency });
    const panel = holdPanel({ event, live, selection, seatOf, statusOf, giveBack: pick, leave: context.leave });

    function countFree(all) {
        const free = {};
        for (const { section, status } of all) free[section] = (free[section] ?? 0) + (status === 'available' ? 1 : 0);
        list.setAvailability(free);
    }

    /** Hundreds of messages may come in a second: the page follows them once per frame. */
    function showSoon() {
        frame ||= requestAnimationFrame(showAll);
    }

    function showAll() {
        cancelAnimationFrame(frame);
        frame = 0;
        map.draw();
        list.refresh();
        standing.refresh();
        panel.show();
        element.dataset.seq = String(seats.state.seq);
        element.dataset.ready = String(seats.state.ready);
    }

    function setStatus(status) {
        notOpen.hidden = status === 'open';
        notOpen.textContent = {
            paused: 'The sale is paused: no seats can be chosen for the moment. What you hold keeps its time.',
            closed: 'The sale is closed: no more seats can be chosen.',
        }[status] ?? 'The sale is not open yet.';
    }

    const element = h('section', {
        class: 'seats', id: 'seats', 'data-testid': 'seats', 'aria-labelledby': 'seats-title',
    },
    h('div', { class: 'seats-head' },
        h('h2', { id: 'seats-title', tabindex: '-1' }, 'Choose your seats'), pass.element),
    notOpen,
    h('div', { class: 'seats-body' },
        h('div', { class: 'seats-map' },
            standing.element,
            map.element,
            h('div', { class: 'seats-foot' },
                h('ul', { class: 'legend', 'aria-label': 'Signs on the map' }, legend.map(([status, sign, word]) =>
                    h('li', {}, h('span', { class: `swatch ${status}`, 'aria-hidden': 'true' }, sign), word))),
                map.tools)),
        panel.element,
        h('details', { class: 'card seats-list', open: true, 'data-testid': 'list-panel' },
            h('summary', {}, 'Choose from a list'), list.element)));

    const off = live.on('hold-expired', (payload) => {
        if (payload.eventId !== eventId) return;
        const gone = new Set(payload.seatIds ?? []);
        selection.adopt({ selectedSeats: selection.confirmed.filter((id) => !gone.has(id)) });
        panel.say(payload.reason === 'blocked' || payload.reason === 'lost'
            ? `${[...gone].join(', ')} cannot be had any more. You can choose others.`
            : 'The time for your seats is over and they were given back. You can choose again.');
    });
    // Another tab or device of the same person has chosen, or asked for more time.
    const offNews = live.on('selection-changed', (payload) => {
        if (payload.eventId === eventId) selection.adopt(payload);
    });
    standing.setAvailability(event.counts?.bySection ?? {});
    pass.set(context.passExpiresAt);
    setStatus(event.status);
    panel.show();
    seats.join();

    return {
        element,
        resume: () => seats.join(),
        restore: (state) => selection.adopt({ selectedSeats: state.selectedSeats, expiresAt: state.holds?.expiresAt }),
        setPass: (expiresAt) => pass.set(expiresAt),
        setStatus,
        setAvailability(available) {
            list.setAvailability(available);
            standing.setAvailability(available);
        },
        get holdsSeats() {
            return selection.confirmed.length > 0;
        },
        stop() {
            off();
            offNews();
            cancelAnimationFrame(frame);
            seats.stop({ keepRoom: selection.confirmed.length > 0 });
            map.stop();
            panel.stop();
            pass.stop();
        },
    };
}
