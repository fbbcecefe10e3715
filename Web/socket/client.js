// A small Socket.IO client: WebSocket only, one namespace, no attachments. It stays connected by itself and tells its
// state:
//
//   idle ─ start() ─► connecting ─► connected ─► reconnecting ◄─► offline
//
// A socket that dies without a word is noticed by the heartbeat: the server pings every pingInterval, so silence for
// pingInterval + pingTimeout means it is gone.

import { decode, encodeConnect, encodeEvent, encodeAck, DISCONNECT, PONG } from './packets.js';
import { backoffMs } from './backoff.js';
import { SocketProblem } from './problem.js';

const CONNECT_TIMEOUT_MS = 10_000;
const ACK_TIMEOUT_MS = 10_000;
/** While the browser says it is offline we only look now and then: its `online` event wakes us at once. */
const OFFLINE_RETRY_MS = 30_000;

export class SocketClient {
    #url;
    #auth;
    #onRefused;
    #socket = null;
    #state = 'idle';
    #listeners = new Map();
    #stateListeners = new Set();
    #acks = new Map();
    #nextAckId = 0;
    #attempt = 0;
    #timers = { connect: null, heartbeat: null, retry: null, drain: null };
    #silenceLimitMs = 0;
    #lastHeardMs = 0;
    #notBeforeMs = 0;
    #wentOffline = false;
    /** When the next attempt is due, for the banner. */
    retryAtMs = null;

    /**
     * `auth()` gives the handshake's payload, or null to stop trying. `onRefused(error)` decides after CONNECT_ERROR:
     * true tries again, false stops.
     */
    constructor({ url, auth, onRefused }) {
        this.#url = url;
        this.#auth = auth;
        this.#onRefused = onRefused;
        globalThis.addEventListener?.('offline', () => this.#offline());
        globalThis.addEventListener?.('online', () => this.#online());
        globalThis.document?.addEventListener('visibilitychange', () => this.#checkSilence());
    }

    get state() {
        return this.#state;
    }

    onState(listener) {
        this.#stateListeners.add(listener);
        return () => this.#stateListeners.delete(listener);
    }

    on(event, listener) {
        if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
        this.#listeners.get(event).add(listener);
        return () => this.#listeners.get(event)?.delete(listener);
    }

    start() {
        if (this.#state !== 'idle') return;
        this.#attempt = 0;
        this.#setState('connecting');
        this.#open();
    }

    stop() {
        if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(DISCONNECT);
        this.#setState('idle');
        this.#drop();
    }

    retryNow() {
        if (this.#state === 'reconnecting' || this.#state === 'offline') this.#open();
    }

    emit(event, payload) {
        if (this.#state === 'connected') this.#socket.send(encodeEvent(event, payload));
    }

    /** Sends an event, gives its acknowledgement. Throws `SocketProblem` when refused, unanswered or not connected. */
    request(event, payload, { timeoutMs = ACK_TIMEOUT_MS } = {}) {
        if (this.#state !== 'connected') {
            const sentence = 'Not connected at the moment. Please wait for the connection to return.';
            return Promise.reject(new SocketProblem('NOT_CONNECTED', sentence));
        }
        const id = this.#nextAckId++;
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.#acks.delete(id);
                reject(new SocketProblem('TIMEOUT', 'The service did not answer in time.'));
            }, timeoutMs);
            this.#acks.set(id, { resolve, reject, timer });
            this.#socket.send(encodeEvent(event, payload, id));
        });
    }

    // ---- connecting

    async #open() {
        this.#drop();
        this.retryAtMs = null;
        const socketOfThisAttempt = (this.#socket = { readyState: 0, close() {}, pending: true });
        let auth;
        try {
            auth = await this.#auth();
        } catch {
            // No fresh token because the network is away: that is one failed attempt, not a sign-out.
            if (this.#socket === socketOfThisAttempt) this.#lost();
            return;
        }
        if (this.#socket !== socketOfThisAttempt) return;
        if (!auth) {
            this.stop();
            return;
        }
        const socket = new WebSocket(this.#url);
        this.#socket = socket;
        this.#timers.connect = setTimeout(() => this.#lost(), CONNECT_TIMEOUT_MS);
        socket.addEventListener('message', (message) => {
            if (this.#socket !== socket) return;
            try {
                this.#receive(decode(message.data), auth);
            } catch (error) {
                console.warn('socket: closed after an unreadable packet', error);
                this.#lost();
            }
        });
        socket.addEventListener('close', () => this.#socket === socket && this.#lost());
    }

    #receive(packet, auth) {
        this.#lastHeardMs = Date.now();
        switch (packet.type) {
        case 'open':
            this.#silenceLimitMs = packet.handshake.pingInterval + packet.handshake.pingTimeout;
            this.#socket.send(encodeConnect(auth));
            break;
        case 'ping':
            this.#socket.send(PONG);
            break;
        case 'close':
            this.#lost();
            return;
        case 'message':
            if (packet.packet.namespace === '/') this.#receiveMessage(packet.packet);
            break;
        default:
        }
        this.#armHeartbeat();
    }

    #receiveMessage({ type, id, data }) {
        switch (type) {
        case 'connect':
            clearTimeout(this.#timers.connect);
            this.#attempt = 0;
            this.#wentOffline = false;
            this.#setState('connected');
            break;
        case 'connect-error':
            this.#refused(data ?? {});
            break;
        case 'disconnect':
            this.#lost();
            break;
        case 'event':
            this.#dispatch(data[0], data[1]);
            if (id !== undefined) this.#socket?.send?.(encodeAck(id));
            break;
        case 'ack':
            this.#answer(id, data[0]);
            break;
        default:
        }
    }

    async #refused(error) {
        const socket = this.#socket;
        clearTimeout(this.#timers.connect);
        let again = false;
        try {
            again = await this.#onRefused(error);
        } catch {
            again = true;
        }
        if (this.#socket !== socket) return;
        if (again) this.#lost();
        else this.stop();
    }

    #answer(id, body) {
        const waiting = this.#acks.get(id);
        if (!waiting) return;
        this.#acks.delete(id);
        clearTimeout(waiting.timer);
        if (body?.ok === false) {
            waiting.reject(new SocketProblem(body.code ?? 'REFUSED', body.detail ?? 'The service refused that.', body));
        } else {
            waiting.resolve(body ?? {});
        }
    }

    #dispatch(event, payload) {
        if (event === 'server-draining') this.#drain(payload?.reconnectAfterMs);
        for (const listener of [...(this.#listeners.get(event) ?? [])]) {
            try {
                listener(payload ?? {});
            } catch (error) {
                // One view's fault must not stop the others from hearing.
                console.error(`listener of ${event} failed`, error);
            }
        }
    }

    // ---- losing and coming back

    /** The instance is leaving: stay until our moment, then move over. If it cuts us off earlier, wait until then. */
    #drain(reconnectAfterMs) {
        const delay = Math.min(60_000, Math.max(0, Number(reconnectAfterMs) || 0));
        this.#notBeforeMs = Date.now() + delay;
        clearTimeout(this.#timers.drain);
        this.#timers.drain = setTimeout(() => {
            if (this.#state !== 'connected') return;
            // A planned move, not a loss: nobody needs to be told unless it fails.
            this.#setState('connecting');
            this.#open();
        }, delay);
    }

    #armHeartbeat() {
        clearTimeout(this.#timers.heartbeat);
        if (this.#socket && this.#silenceLimitMs > 0) {
            this.#timers.heartbeat = setTimeout(() => this.#lost(), this.#silenceLimitMs);
        }
    }

    /** Timers sleep with the tab, so on waking we look at the clock ourselves. */
    #checkSilence() {
        if (document.visibilityState !== 'visible') return;
        if (this.#state === 'connected' && Date.now() - this.#lastHeardMs > this.#silenceLimitMs) this.#lost();
        else if (this.#state === 'reconnecting' && (this.retryAtMs ?? Infinity) < Date.now()) this.retryNow();
    }

    #offline() {
        this.#wentOffline = true;
        if (this.#state !== 'idle') this.#lost();
    }

    #online() {
        this.#wentOffline = false;
        if (this.#state === 'offline' || this.#state === 'reconnecting') {
            this.#attempt = 0;
            this.#setState('reconnecting');
            this.#open();
        }
    }

    #lost() {
        if (this.#state === 'idle') return;
        this.#drop();
        const delay = this.#wentOffline
            ? OFFLINE_RETRY_MS
            : Math.max(backoffMs(this.#attempt), this.#notBeforeMs - Date.now());
        this.#attempt += 1;
        this.retryAtMs = Date.now() + delay;
        this.#setState(this.#wentOffline || globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting');
        this.#timers.retry = setTimeout(() => this.#open(), delay);
    }

    /** Forgets the socket and its timers, and tells everyone who waits for an answer that none will come. */
    #drop() {
        for (const name of Object.keys(this.#timers)) clearTimeout(this.#timers[name]);
        const socket = this.#socket;
        this.#socket = null;
        this.#silenceLimitMs = 0;
        try {
            socket?.close();
        } catch {
            // Already closed: nothing left to do.
        }
        for (const { reject, timer } of this.#acks.values()) {
            clearTimeout(timer);
            reject(new SocketProblem('NOT_CONNECTED', 'The connection was lost before the answer came.'));
        }
        this.#acks.clear();
    }

    #setState(state) {
        this.#state = state;
        for (const listener of [...this.#stateListeners]) listener(state);
    }
}
