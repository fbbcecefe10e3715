// fetch, with problem+json turned into errors that carry a sentence for a person.

import { serverClock } from './clock.js';

/** A refusal or a failure, told as RFC 9457 does. `code` is stable; `message` is for people. */
export class Problem extends Error {
    constructor({ status = 0, code = 'UNKNOWN', message, errors = [], body = {}, retryAfterSeconds = null }) {
        super(message);
        this.name = 'Problem';
        Object.assign(this, { status, code, errors, body, retryAfterSeconds });
    }

    /** True when nobody can tell whether the request was carried out: ask again with the same key. */
    get isUncertain() {
        return this.status === 0 || this.status >= 500 || this.code === 'IDEMPOTENCY_IN_FLIGHT';
    }
}

const REQUEST_TIMEOUT_MS = 20_000;
const fallbackMessages = {
    400: 'That request was not understood.', 401: 'Please sign in.', 403: 'That is not allowed.',
    404: 'That does not exist (any more).', 409: 'Someone else was faster, or things changed meanwhile.',
    429: 'Too many attempts. Please wait a little.', 503: 'The service is busy. Please try again in a moment.',
};

// Set by the account slice: `token()` gives a fresh access token or null, `renew(stale)` gives a new one after a 401.
let credentials = { token: async () => null, renew: async () => null };

export function useCredentials(provider) {
    credentials = provider;
}

export const get = (path) => request('GET', path);
/** For what never changes under its address. */
export const getKept = (path) => request('GET', path, { cache: 'default' });
export const post = (path, body, headers) => request('POST', path, { body: body ?? {}, headers });

/** Sends a request and gives the answer's JSON. `signedIn: false` leaves the token out. Throws `Problem`. */
export async function request(method, path, { body, headers = {}, cache, signedIn = true } = {}) {
    const options = { body, headers, cache: cache ?? (method === 'GET' ? 'no-cache' : 'no-store') };
    const token = signedIn ? await credentials.token() : null;
    try {
        return await send(method, path, options, token);
    } catch (error) {
        if (!signedIn || !token || error.status !== 401) throw error;
        const renewed = await credentials.renew(token);
        if (!renewed) throw error;
        return send(method, path, options, renewed);
    }
}

async function send(method, path, { body, headers, cache }, token) {
    const startMs = Date.now();
    let response;
    let text;
    try {
        response = await fetch(path, {
            method,
            // The token is the only credential this page uses: cookies stay out, and CSRF with them.
            credentials: 'omit',
            cache,
            headers: {
                Accept: 'application/json',
                ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
                ...(token ? { Authorization: `Bearer ${token}` } : {}),
                ...headers,
            },
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
        });
        // What the browser kept has the date of its first coming.
        if (cache !== 'default') {
            serverClock.observe(Date.parse(response.headers.get('Date') ?? ''), startMs, Date.now());
        }
        text = await response.text();
    } catch {
        throw new Problem({
            code: 'NETWORK', message: 'No answer from the service. Check your connection and try again.',
        });
    }
    const parsed = parseObject(text);
    if (response.ok) {
        if (parsed === null && text.length > 0) {
            throw new Problem({
                status: 502, code: 'BAD_ANSWER', message: 'The service gave an answer this page cannot read.',
            });
        }
        return parsed;
    }
    throw problemOf(response, parsed ?? {});
}

function problemOf(response, body) {
    const retryAfter = Number(response.headers.get('Retry-After'));
    const errors = Array.isArray(body.errors) ? body.errors : [];
    const sentences = [body.detail ?? body.title ?? fallbackMessages[response.status] ?? 'Something went wrong.'];
    for (const entry of errors) if (entry?.detail && entry.detail !== body.detail) sentences.push(entry.detail);
    return new Problem({
        status: response.status, code: body.code ?? `HTTP_${response.status}`, message: sentences.join(' '),
        errors, body, retryAfterSeconds: retryAfter > 0 ? retryAfter : null,
    });
}

function parseObject(text) {
    try {
        const value = JSON.parse(text);
        return value !== null && typeof value === 'object' ? value : null;
    } catch {
        return null;
    }
}
