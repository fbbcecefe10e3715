// Standing places: how a wish for them is written, and what one more and one less are.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { areaOf, wishFor, withOneLess, withOneMore } from '../../../Web/seats/standing.js';

test('A standing place is told from a numbered seat by its row', () => {
    assert.equal(areaOf('Floor-0-17'), 'Floor');
    assert.equal(areaOf('North-Side-0-?2'), 'North-Side');
    assert.equal(areaOf('VIP-10-5'), null);
    assert.equal(areaOf('VIP-1-0'), null);
});

test('A wish counts standing places and names seats', () => {
    assert.deepEqual(wishFor(['VIP-1-1']), { seats: ['VIP-1-1'] });
    assert.deepEqual(wishFor(['VIP-1-1', 'Floor-0-9', 'Floor-0-?1', 'Balcony-0-?1']), {
        seats: ['VIP-1-1'], generalAdmission: { Floor: 2, Balcony: 1 },
    });
});

test('One more, one more, one less', () => {
    const two = withOneMore(withOneMore(['VIP-1-1', 'Floor-0-9'], 'Floor'), 'Floor');
    assert.deepEqual(two, ['VIP-1-1', 'Floor-0-9', 'Floor-0-?1', 'Floor-0-?2']);
    assert.deepEqual(withOneLess(two, 'Floor'), ['VIP-1-1', 'Floor-0-9', 'Floor-0-?1']);
    assert.deepEqual(withOneLess(['VIP-1-1'], 'Floor'), ['VIP-1-1']);
});
