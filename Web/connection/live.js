// The page's one socket. It lives exactly as long as somebody is signed in.

import { SocketClient } from '../socket/client.js';
import { accessToken, forget, onSession, person, renew } from '../account/session.js';

const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
let tokenInUse = null;
let lastRestored = null;

export const live = new SocketClient({
    url: `${scheme}//${location.host}/socket.io/?EIO=4&transport=websocket`,
    async auth() {
        tokenInUse = await accessToken();
        return tokenInUse ? { token: tokenInUse } : null;
    },
    // Refused with a word about authentication or the session: one renewal may mend it. Anything else is worth
    // another try.
    async onRefused(error) {
        if (!/authenticat|session/i.test(String(error.message ?? ''))) return true;
        return (await renew(tokenInUse)) !== null;
    },
});

live.on('session-restored', (state) => {
    lastRestored = state;
});

/** What the server said about this person at the last connect, or null. */
export function restoredState() {
    return lastRestored;
}

const logoutSentences = {
    'duplicate-login': 'You were signed out because you signed in somewhere else.',
    admin: 'An administrator signed you out.',
    'logout-all': 'You signed out on all devices.',
    'token-reuse': 'You were signed out for safety: an old sign-in was used again.',
    'account-disabled': 'This account is disabled.',
    logout: 'You signed out.',
    'session-ended': 'Your session has ended. Please sign in again.',
};

live.on('force-logout', ({ reason, message }) => {
    live.stop();
    forget(message || logoutSentences[reason] || 'You were signed out.');
});

onSession(({ signedIn, changedPerson, reason }) => {
    if (!signedIn || changedPerson) {
        lastRestored = null;
        live.stop();
    }
    if (signedIn && (changedPerson || live.state === 'idle')) live.start();
    else if (signedIn && reason === 'renewed') renewSocket();
});

/** Gives a connected socket the fresh token, so that it is not cut off when the old one ends. */
async function renewSocket() {
    tokenInUse = await accessToken();
    if (tokenInUse) live.emit('authenticate', { token: tokenInUse });
}

export function startIfSignedIn() {
    if (person()) live.start();
}
