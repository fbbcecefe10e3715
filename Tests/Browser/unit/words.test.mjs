import test from 'node:test';
import assert from 'node:assert/strict';
import { drawFacts, drawInWords } from '../../../Web/waiting-room/draw.js';
import { estimateInWords, progressOf, rangeInWords } from '../../../Web/waiting-room/estimate.js';
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

test('A wait that was measured is told as a range, one that was not as the most it can be', () => {
    const expected = [
        [{ low: 230, high: 370, measured: true }, '4 to 6 minutes'],
        [{ low: 20, high: 30, measured: true }, 'Less than a minute'],
        [{ low: 10, high: 370, measured: true }, 'At most 6 minutes'],
        [{ low: 230, high: 370, measured: false }, 'At most 6 minutes'],
        [{ low: 1500, high: 3600, measured: true }, 'About 25 minutes to an hour'],
        [undefined, 'About 3 minutes'], [{ low: null, high: 3 }, 'About 3 minutes'],
    ];
    for (const [range, words] of expected) assert.equal(rangeInWords(range, 190), words, JSON.stringify(range));
});

test('The draw says what to note before it, and what came of it after', () => {
    const before = { rosterSize: 1, commitment: 'c', rosterRoot: 'r', rosterClosed: false, proof: { ticket: 't', leaf: 'l' } };
    assert.match(drawInWords(before), /1 person/);
    assert.deepEqual(drawFacts(before).map(([, value]) => value), ['c', 'r', 't', 'l']);
    const after = { ...before, rosterSize: 2, rosterClosed: true, revealed: { secret: 's' }, proof: { rank: 2 } };
    assert.match(drawInWords(after), /2 people took part. You drew place 2/);
    assert.ok(drawFacts(after).some(([, value]) => value === 's'));
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
