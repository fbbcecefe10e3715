import test from 'node:test';
import assert from 'node:assert/strict';
import { SeatState, seatsOf } from '../../../Web/seats/seat-state.js';
import { Selection } from '../../../Web/seats/selection.js';
import { arrange, SeatGrid } from '../../../Web/seats/geometry.js';

const layout = {
    layoutVersion: 1,
    seats: ['A-1-1', 'A-1-2', 'A-1-3'].map((id, index) => ({ id, section: 'A', row: 1, number: index + 1, price: 10 })),
};
const snapshot = (seq) => ({ seq, seats: seatsOf(layout, 'aaa') });
const statuses = (state) => [...state.seats.values()].map((seat) => seat.status).join(' ');

test('A layout and one letter per seat make the seats', () => {
    const state = new SeatState();
    state.load({ seq: 3, seats: seatsOf(layout, 'alr') });
    assert.equal(statuses(state), 'available locked reserved');
    assert.equal(layout.seats[1].status, undefined, 'the layout is kept and must not be written to');
});

test('Messages before the snapshot are kept and applied after it', () => {
    const state = new SeatState();
    assert.equal(state.receive('locked', { seatIds: ['A-1-1'], seq: 5 }), 'buffered');
    assert.equal(state.receive('locked', { seatIds: ['A-1-2'], seq: 6 }), 'buffered');
    assert.equal(state.load(snapshot(5)), 'ok');
    assert.equal(statuses(state), 'available locked available');
    assert.equal(state.seq, 6);
});

test('Messages in order are applied, old ones are not', () => {
    const state = new SeatState();
    state.load(snapshot(1));
    assert.equal(state.receive('locked', { seatIds: ['A-1-1'], seq: 2 }), 'applied');
    assert.equal(state.receive('reserved', { seatIds: ['A-1-1'], seq: 3 }), 'applied');
    assert.equal(state.receive('released', { seatIds: ['A-1-1'], seq: 2 }), 'old');
    assert.equal(statuses(state), 'reserved available available');
});

test('A gap asks for a sync, whose changes and the buffered messages close it', () => {
    const state = new SeatState();
    state.load(snapshot(1));
    assert.equal(state.receive('locked', { seatIds: ['A-1-3'], seq: 4 }), 'gap');
    assert.equal(state.receive('released', { seatIds: ['A-1-3'], seq: 5 }), 'buffered');
    assert.equal(state.merge({ ok: true, seq: 3, changes: [
        { seq: 2, type: 'locked', seatIds: ['A-1-1'] }, { seq: 3, type: 'reserved', seatIds: ['A-1-1'] },
    ] }), 'ok');
    assert.equal(statuses(state), 'reserved available available');
    assert.equal(state.seq, 5);
    assert.ok(state.ready);
});

test('A sync that ends before the buffer leaves a gap', () => {
    const state = new SeatState();
    state.load(snapshot(1));
    state.receive('locked', { seatIds: ['A-1-3'], seq: 4 });
    assert.equal(state.merge({ ok: true, seq: 2, changes: [{ seq: 2, type: 'locked', seatIds: ['A-1-1'] }] }), 'gap');
    assert.equal(state.merge({ ok: true, seq: 3, changes: [{ seq: 3, type: 'locked', seatIds: ['A-1-2'] }] }), 'ok');
    assert.equal(statuses(state), 'locked locked locked');
});

test('A reset, a hole in the changes, or a counter begun anew need a snapshot', () => {
    const holed = { ok: true, seq: 9, changes: [{ seq: 9, type: 'locked', seatIds: [] }] };
    for (const answer of [{ ok: true, reset: true }, holed, { ok: true, seq: 2, changes: [] }]) {
        const state = new SeatState();
        state.load(snapshot(7));
        assert.equal(state.merge(answer), 'reset');
        assert.equal(state.ready, false);
        assert.equal(state.load(snapshot(2)), 'ok');
        assert.equal(state.seq, 2);
    }
});

test('A selection sends one wish at a time and the newest wins', async () => {
    const sent = [];
    const answers = [];
    const selection = new Selection({
        send: (ids) => new Promise((resolve) => {
            sent.push(ids);
            answers.push(() => resolve({ selectedSeats: ids, expiresAt: 'T' }));
        }),
        onChange() {}, onRefused: assert.fail,
    });
    const done = selection.toggle('a');
    selection.toggle('b');
    selection.toggle('c');
    assert.deepEqual(sent, [['a']]);
    answers[0]();
    await Promise.resolve(); await Promise.resolve();
    assert.deepEqual(sent, [['a'], ['a', 'b', 'c']]);
    answers[1]();
    await done;
    assert.deepEqual(selection.confirmed, ['a', 'b', 'c']);
    assert.equal(selection.expiresAt, 'T');
    assert.ok(selection.isSettled);
});

test('A refusal brings back what the service says one holds', async () => {
    let refused = null;
    const selection = new Selection({
        send: async () => {
            throw Object.assign(new Error('gone'), { body: { selectedSeats: ['a'], unavailable: ['b'] } });
        },
        onChange() {}, onRefused: (error) => { refused = error; },
    });
    selection.adopt({ selectedSeats: ['a'], expiresAt: 'T' });
    await selection.toggle('b');
    assert.deepEqual(refused.body.unavailable, ['b']);
    assert.deepEqual(selection.desired, ['a']);
    assert.equal(selection.expiresAt, 'T');
});

test('5,000 seats are arranged without overlap and found again by position', () => {
    const seats = [];
    for (const [section, rows, width] of [['VIP', 10, 20], ['R', 40, 60], ['S', 40, 60]]) {
        for (let row = 1; row <= rows; row += 1) {
            for (let number = 1; number <= width; number += 1) {
                seats.push({ id: `${section}-${row}-${number}`, section, row, number });
            }
        }
    }
    assert.equal(seats.length, 5000);
    const plan = arrange(seats, 1.5);
    assert.equal(plan.places.length, 5000);
    assert.equal(new Set(plan.places.map(({ x, y }) => `${x},${y}`)).size, 5000);
    const grid = new SeatGrid(plan.places);
    for (const place of plan.places) assert.equal(grid.nearest(place.x + 0.2, place.y - 0.2).id, place.id);
    assert.equal(grid.nearest(-50, -50), null);
    assert.ok(plan.places.every(({ x, y }) => x > 0 && x < plan.width && y > 0 && y < plan.height));
});
