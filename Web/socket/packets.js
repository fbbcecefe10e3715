// Engine.IO 4 and Socket.IO 5 text packets. Pure: no socket, no clock.
//
// A WebSocket message is one Engine.IO packet: a digit, then its data. Type 4 carries a Socket.IO packet: a digit, an
// optional "/namespace,", an optional acknowledgement id, then JSON. This client speaks the namespace "/" without
// attachments.

const ENGINE_TYPES = ['open', 'close', 'ping', 'pong', 'message', 'upgrade', 'noop'];
const SOCKET_TYPES = ['connect', 'disconnect', 'event', 'ack', 'connect-error', 'binary-event', 'binary-ack'];

export class PacketError extends Error {}

/**
 * Reads one WebSocket message.
 *
 * Gives `{type}` of Engine.IO; `open` has `handshake`; `message` has `packet`:
 * `{type, namespace, id?, data}`. Throws `PacketError` when malformed.
 */
export function decode(text) {
    if (typeof text !== 'string' || text.length === 0) throw new PacketError('a packet must be text and not empty');
    const type = ENGINE_TYPES[text.charCodeAt(0) - 48];
    if (!type) throw new PacketError('unknown Engine.IO packet type');
    if (type === 'open') {
        const handshake = parseJSON(text.slice(1));
        const hasHeartbeat = handshake?.pingInterval > 0 && handshake?.pingTimeout > 0;
        if (!hasHeartbeat) throw new PacketError('handshake without heartbeat');
        return { type, handshake };
    }
    return type === 'message' ? { type, packet: decodeSocketPacket(text, 1) } : { type };
}

function decodeSocketPacket(text, start) {
    const type = SOCKET_TYPES[text.charCodeAt(start) - 48];
    if (!type) throw new PacketError('unknown Socket.IO packet type');
    if (type.startsWith('binary')) throw new PacketError('attachments are not spoken here');
    let index = start + 1;
    let namespace = '/';
    if (text[index] === '/') {
        const comma = text.indexOf(',', index);
        namespace = text.slice(index, comma < 0 ? undefined : comma);
        index = comma < 0 ? text.length : comma + 1;
    }
    const digits = /^\d{1,15}/.exec(text.slice(index, index + 15));
    const id = digits ? Number(digits[0]) : undefined;
    if (digits) index += digits[0].length;
    const data = index < text.length ? parseJSON(text.slice(index)) : undefined;
    const isList = Array.isArray(data);
    if (type === 'event' && !(isList && typeof data[0] === 'string')) throw new PacketError('an event has no name');
    if (type === 'ack' && !(isList && id !== undefined)) throw new PacketError('an acknowledgement has no id');
    return { type, namespace, id, data };
}

function parseJSON(text) {
    try {
        return JSON.parse(text);
    } catch {
        throw new PacketError('malformed JSON');
    }
}

export const PONG = '3';
export const DISCONNECT = '41';

export function encodeConnect(auth) {
    return `40${JSON.stringify(auth)}`;
}

export function encodeEvent(name, payload, id) {
    return `42${id ?? ''}${JSON.stringify(payload === undefined ? [name] : [name, payload])}`;
}

export function encodeAck(id, ...values) {
    return `43${id}${JSON.stringify(values)}`;
}
