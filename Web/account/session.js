// Who is signed in, in this tab: the tokens of the login, kept in sessionStorage, renewed before they expire.
//
// A refresh token works once. Two requests that find the token expired share one renewal, and a duplicated tab, which
// starts with a copy of our tokens, is told the new pair, so that it never presents a used one (that would end the
// whole family).

import { request, useCredentials } from '../http.js';

const STORAGE_KEY = 'holdfast.session';
/** Renewed when less than this, or a fifth of its life, is left: tests use lives of two seconds. */
const RENEW_AHEAD_MS = 60_000;

let current = read();
let renewal = null;
const listeners = new Set();
const channel = typeof BroadcastChannel === 'function' ? new BroadcastChannel('holdfast.session') : null;

function read() {
    try {
        return JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    } catch {
        return null;
    }
}

function store(value, reason) {
    const changedPerson = value?.userId !== current?.userId;
    current = value;
    if (value) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(value));
    else sessionStorage.removeItem(STORAGE_KEY);
    for (const listener of [...listeners]) listener({ signedIn: value !== null, changedPerson, reason });
}

function adopt(answer, previous = {}) {
    const lifeMs = (answer.expires_in ?? 3600) * 1000;
    return {
        userId: answer.user_id ?? previous.userId,
        userName: answer.user_name ?? previous.userName,
        accessToken: answer.access_token,
        refreshToken: answer.refresh_token ?? previous.refreshToken,
        renewAtMs: Date.now() + lifeMs - Math.min(RENEW_AHEAD_MS, lifeMs / 5),
    };
}

channel?.addEventListener('message', ({ data }) => {
    if (current && data?.usedRefreshToken === current.refreshToken) store(data.session, 'renewed');
});

/** Called with `{signedIn, changedPerson, reason}` on sign-in, renewal and sign-out. */
export function onSession(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

export function person() {
    return current && { userId: current.userId, userName: current.userName };
}

export async function signIn(userId, password) {
    const answer = await request('POST', '/api/auth/login', { body: { user_id: userId, password }, signedIn: false });
    store(adopt(answer), 'signed-in');
}

export async function register({ userId, userName, email, password }) {
    await request('POST', '/api/auth/register', {
        body: { user_id: userId, user_name: userName, email, password }, signedIn: false,
    });
    await signIn(userId, password);
}

export async function signOut() {
    try {
        await request('POST', '/api/auth/logout', { body: {} });
    } catch {
        // Leaving must work without a network too: the tokens here are forgotten in any case.
    }
    // The next person at this tab starts with nothing of ours, keys of unanswered requests included.
    sessionStorage.clear();
    store(null, 'signed-out');
}

/** The session ended without us: forget it. `reason` is shown by the sign-in page. */
export function forget(reason) {
    if (current) store(null, reason);
}

/** A usable access token, renewed if it is about to expire; null when nobody is signed in. */
export async function accessToken() {
    if (!current) return null;
    if (Date.now() >= current.renewAtMs) return renew(current.accessToken);
    return current.accessToken;
}

/** A token other than `staleToken`, or null when the session is over. Throws when the service cannot be asked. */
export async function renew(staleToken) {
    if (!current) return null;
    if (current.accessToken !== staleToken) return current.accessToken;
    renewal ??= askForRenewal().finally(() => {
        renewal = null;
    });
    return renewal;
}

async function askForRenewal() {
    const used = current.refreshToken;
    try {
        const answer = await request('POST', '/api/auth/refresh', { body: { refresh_token: used }, signedIn: false });
        if (current?.refreshToken !== used) return current?.accessToken ?? null;
        store(adopt(answer, current), 'renewed');
        channel?.postMessage({ usedRefreshToken: used, session: current });
        return current.accessToken;
    } catch (error) {
        if (![400, 401, 403, 422].includes(error.status)) throw error;
        if (current?.refreshToken === used) forget('Your session has ended. Please sign in again.');
        return current?.accessToken ?? null;
    }
}

useCredentials({ token: accessToken, renew });
