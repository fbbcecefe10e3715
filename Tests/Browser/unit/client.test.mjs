import test from 'node:test';
import assert from 'node:assert/strict';
import { SocketClient } from '../../../Web/socket/client.js';
import { SocketProblem } from '../../../Web/socket/problem.js';

/** A socket without a network: the test plays the server. */
class FakeSocket extends EventTarget {
    static OPEN = 1;
    static all = [];
    readyState = 1;
    sent = [];

    constructor() {
        super();
        FakeSocket.all.push(this);
    }

    static get last() {
        return FakeSocket.all.at(-1);
    }

    send(text) {
        this.sent.push(text);
    }

    close() {
        this.readyState = 3;
        this.dispatchEvent(new Event('close'));
    }

    hear(text) {
        this.dispatchEvent(Object.assign(new Event('message'), { data: text }));
    }
}

globalThis.WebSocket = FakeSocket;
const settle = () => new Promise((resolve) => setImmediate(resolve));

async function makeClient(t, { auth = async () => ({ token: 'T' }), onRefused = async () => true } = {}) {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    FakeSocket.all = [];
    const client = new SocketClient({ url: 'ws://test/socket.io/', auth, onRefused });
    client.states = [];
    client.onState((state) => client.states.push(state));
    client.start();
    await settle();
    return client;
}

function connect() {
    FakeSocket.last.hear('0{"sid":"s","pingInterval":300,"pingTimeout":200}');
    FakeSocket.last.hear('40{"sid":"n"}');
}

test('The handshake ends in a connection, and a ping is answered', async (t) => {
    const client = await makeClient(t);
    connect();
    FakeSocket.last.hear('2');
    assert.deepEqual(FakeSocket.last.sent, ['40{"token":"T"}', '3']);
    assert.equal(client.state, 'connected');
    client.stop();
    assert.equal(FakeSocket.last.sent.at(-1), '41');
});

test('Silence longer than the heartbeat allows is a lost connection, and the client comes back', async (t) => {
    const client = await makeClient(t);
    connect();
    t.mock.timers.tick(499);
    assert.equal(client.state, 'connected');
    t.mock.timers.tick(1);
    assert.equal(client.state, 'reconnecting');
    t.mock.timers.tick(999);
    await settle();
    assert.equal(FakeSocket.all.length, 1);
    t.mock.timers.tick(251);
    await settle();
    assert.equal(FakeSocket.all.length, 2);
    connect();
    assert.equal(client.state, 'connected');
    client.stop();
});

test('Acknowledgements resolve, refuse, time out, and end with the connection', async (t) => {
    const client = await makeClient(t);
    const isNotConnected = (error) => error instanceof SocketProblem && error.code === 'NOT_CONNECTED';
    await assert.rejects(client.request('a', {}), isNotConnected);
    connect();
    const [granted, refused, late, lost] = [10_000, 10_000, 100, 10_000].map((timeoutMs, n) =>
        client.request('a', { n: n + 1 }, { timeoutMs }));
    FakeSocket.last.hear('430[{"ok":true,"seq":9}]');
    FakeSocket.last.hear('431[{"ok":false,"code":"SEAT_UNAVAILABLE","detail":"Gone.","unavailable":["A-1-1"]}]');
    assert.equal((await granted).seq, 9);
    const isGone = (error) => error.code === 'SEAT_UNAVAILABLE' && error.body.unavailable[0] === 'A-1-1';
    await assert.rejects(refused, isGone);
    t.mock.timers.tick(100);
    await assert.rejects(late, { code: 'TIMEOUT' });
    FakeSocket.last.close();
    await assert.rejects(lost, { code: 'NOT_CONNECTED' });
    client.stop();
});

test('A draining instance is left at the moment it named', async (t) => {
    const client = await makeClient(t);
    connect();
    FakeSocket.last.hear('42["server-draining",{"reconnectAfterMs":400}]');
    t.mock.timers.tick(399);
    await settle();
    assert.equal(FakeSocket.all.length, 1);
    t.mock.timers.tick(1);
    await settle();
    assert.equal(FakeSocket.all.length, 2);
    connect();
    assert.ok(!client.states.includes('reconnecting'));
    client.stop();
});

test('A draining instance that goes early does not bring its clients back early', async (t) => {
    const client = await makeClient(t);
    connect();
    FakeSocket.last.hear('42["server-draining",{"reconnectAfterMs":5000}]');
    FakeSocket.last.close();
    t.mock.timers.tick(4999);
    await settle();
    assert.equal(FakeSocket.all.length, 1);
    t.mock.timers.tick(1);
    await settle();
    assert.equal(FakeSocket.all.length, 2);
    client.stop();
});

test('A refused sign-in ends the attempts unless it could be mended', async (t) => {
    const heard = [];
    const client = await makeClient(t, { onRefused: async (error) => heard.push(error.message) < 2 });
    FakeSocket.last.hear('44{"message":"Session expired"}');
    await settle();
    assert.equal(client.state, 'reconnecting');
    t.mock.timers.tick(1250);
    await settle();
    FakeSocket.last.hear('44{"message":"Invalid authentication token"}');
    await settle();
    assert.equal(client.state, 'idle');
    assert.deepEqual(heard, ['Session expired', 'Invalid authentication token']);
});

test('An unreadable packet costs the connection, not the page', async (t) => {
    t.mock.method(console, 'warn', () => {});
    const client = await makeClient(t);
    connect();
    FakeSocket.last.hear('42{');
    assert.equal(client.state, 'reconnecting');
    client.stop();
});

test('A listener that fails does not keep the others from hearing', async (t) => {
    t.mock.method(console, 'error', () => {});
    const client = await makeClient(t);
    connect();
    const heard = [];
    client.on('x', () => { throw new Error('broken'); });
    client.on('x', (payload) => heard.push(payload));
    FakeSocket.last.hear('42["x",{"a":1}]');
    assert.deepEqual(heard, [{ a: 1 }]);
    assert.equal(client.state, 'connected');
    client.stop();
});
