import test from 'node:test';
import assert from 'node:assert/strict';
import { decode, encodeAck, encodeConnect, encodeEvent, PacketError } from '../../../Web/socket/packets.js';

test('The handshake tells the heartbeat', () => {
    const packet = decode('0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}');
    assert.equal(packet.type, 'open');
    assert.equal(packet.handshake.pingTimeout, 20000);
});

test('A handshake without a heartbeat is refused', () => {
    assert.throws(() => decode('0{"sid":"a"}'), PacketError);
});

test('An event has a name, a payload and perhaps an acknowledgement id', () => {
    assert.deepEqual(decode('42["seat-locked",{"seq":3}]').packet, {
        type: 'event', namespace: '/', id: undefined, data: ['seat-locked', { seq: 3 }],
    });
    assert.equal(decode('4212["x"]').packet.id, 12);
});

test('An acknowledgement carries its id', () => {
    assert.deepEqual(decode('437[{"ok":true}]').packet, { type: 'ack', namespace: '/', id: 7, data: [{ ok: true }] });
});

test('A refused connection carries its message', () => {
    assert.equal(decode('44{"message":"Session expired"}').packet.data.message, 'Session expired');
});

test('Another namespace is read as such', () => {
    assert.equal(decode('40/admin,{"sid":"b"}').packet.namespace, '/admin');
    assert.equal(decode('41/admin').packet.namespace, '/admin');
});

test('Malformed packets are errors', () => {
    for (const text of ['', '9', '4', '49', '42', '42{}', '42[1]', '43[1]', '42["a"', '451-["a"]', null]) {
        assert.throws(() => decode(text), PacketError, String(text));
    }
});

test('What is written can be read', () => {
    assert.equal(encodeConnect({ token: 't' }), '40{"token":"t"}');
    assert.deepEqual(decode(encodeEvent('sync', { seq: 1 }, 5)).packet.data, ['sync', { seq: 1 }]);
    assert.equal(encodeEvent('latency'), '42["latency"]');
    assert.deepEqual(decode(encodeAck(4, 'a')).packet, { type: 'ack', namespace: '/', id: 4, data: ['a'] });
});
