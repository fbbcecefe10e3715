import test from 'node:test';
import assert from 'node:assert/strict';
import { estimateInWords, progressOf } from '../../../Web/waiting-room/estimate.js';
import { clockText, money } from '../../../Web/format.js';
import { ServerClock } from '../../../Web/clock.js';

test('The wait is told in words no more exact than it can be kept', () => {
    const expected = [
        [NaN, 'We cannot tell yet how long it will take'], [0, 'Less than a minute'], [60, 'About a minute'],
        [190, 'About 3 minutes'], [1500, 'About 25 minutes'], [3600, 'About an hour'],
        [5400, 'About an hour and 30 minutes'], [7200, 'About 2 hours'], [7000, 'About 2 hours'],
    ];
    for (const [seconds, words] of expected) assert.equal(estimateInWords(seconds), words, String(seconds));
});

test('Progress goes forward and is not full before one is in', () => {
    assert.ok(progressOf(100, 100) < progressOf(100, 50));
    assert.ok(progressOf(100, 1) < 1);
    assert.equal(progressOf(0, 0), 0);
});

test('A countdown rounds up, so 0:00 means over', () => {
    assert.equal(clockText(299_001), '5:00');
    assert.equal(clockText(1), '0:01');
    assert.equal(clockText(-5), '0:00');
    assert.equal(clockText(3_661_000), '1:01:01');
});

test('Amounts are whole units of the currency, and an unknown one is shown as it came', () => {
    assert.match(money(150000, 'KRW'), /150.?000/);
    assert.doesNotMatch(money(150000, 'EUR'), /[.,]00\b(?!0)/);
    assert.match(money(5, 'not a currency'), /5 not a currency/);
});

test('A right clock is believed, a wrong one corrected', () => {
    const right = new ServerClock();
    right.observe(10_000, 10_900, 11_000);
    assert.equal(right.offsetMs, 0);
    const late = new ServerClock();
    late.observe(310_000, 10_000, 10_100);
    assert.ok(Math.abs(late.offsetMs - 300_000) <= 1000);
    late.observe(10_000, 10_000, 10_100);
    assert.equal(late.offsetMs, 0);
});
