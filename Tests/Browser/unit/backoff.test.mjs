import test from 'node:test';
import assert from 'node:assert/strict';
import { backoffMs } from '../../../Web/socket/backoff.js';

test('The first wait is about a second', () => {
    assert.equal(backoffMs(0, () => 0), 1000);
    assert.ok(backoffMs(0, () => 0.999) < 1250);
});

test('The wait grows and never passes 30 s', () => {
    const waits = Array.from({ length: 40 }, (_, attempt) => backoffMs(attempt, () => 0.999));
    for (let index = 1; index < waits.length; index += 1) assert.ok(waits[index] >= waits[index - 1]);
    assert.ok(waits.every((wait) => wait <= 30_000));
    assert.ok(waits.at(-1) > 29_000);
});

test('Jitter spreads clients over half of the wait', () => {
    assert.equal(backoffMs(20, () => 0), 15_000);
});
