// Turning held seats into a reservation, once. The key stays in sessionStorage until the service has answered, so a
// lost answer, a double click or a reload repeats the same request and not another.

import { post } from '../http.js';

/** Gives the reservation. Throws `Problem`. */
export async function reserve(eventId, seatIds) {
    const sorted = [...seatIds].sort();
    const storageKey = `holdfast.reserve.${eventId}.${sorted.join(',')}`;
    let key = sessionStorage.getItem(storageKey);
    if (!key) {
        key = newKey();
        sessionStorage.setItem(storageKey, key);
    }
    try {
        const reservation = await post('/api/reservations', { eventId, seatIds: sorted }, { 'Idempotency-Key': key });
        sessionStorage.removeItem(storageKey);
        return reservation;
    } catch (error) {
        // In doubt the key stays: the next attempt asks what became of this one.
        const inFlight = error.status === 409 && /IDEMPOTEN|FLIGHT/.test(error.code);
        if (!error.isUncertain && !inFlight) sessionStorage.removeItem(storageKey);
        throw error;
    }
}

/** A random UUID; `crypto.randomUUID` exists only in secure contexts, and a test instance may be plain http. */
function newKey() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
