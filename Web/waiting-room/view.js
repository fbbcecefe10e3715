// Waiting: place, people ahead, everyone, the wait in words. Calm: numbers change in place, and are read out every 15
// s at most.

import { confirmButton, h, notify, setText } from '../dom.js';
import { dateTime, number } from '../format.js';
import { drawDisclosure } from './draw.js';
import { progressOf, rangeInWords } from './estimate.js';

const SPEAK_INTERVAL_MS = 15_000;

/** `context`: `{event, queue, leave(), askDraw()}`. Gives `{element, update, setPaused, stop}`. */
export function waitingRoomView({ event, queue, leave, askDraw }) {
    const startKey = `holdfast.queue-start.${event.id}`;
    const position = h('strong', { class: 'position', 'data-testid': 'queue-position' }, '–');
    const ahead = h('dd', { 'data-testid': 'queue-ahead' }, '–');
    const total = h('dd', { 'data-testid': 'queue-total' }, '–');
    const estimate = h('p', { class: 'estimate', 'data-testid': 'queue-estimate' }, '');
    const progress = h('progress', {
        max: '1', value: 0, 'aria-label': 'Your way through the queue', 'data-testid': 'queue-progress',
    });
    const spoken = h('p', { class: 'hidden-visually', 'aria-live': 'polite', 'data-testid': 'queue-spoken' });
    const title = h('h2', { id: 'waiting-title', tabindex: '-1' }, 'You are in the queue');
    const lobby = h('p', { 'data-testid': 'lobby-text', hidden: true });
    const numbers = h('div', { class: 'stack' },
        h('p', { class: 'position-line' }, h('span', { class: 'soft' }, 'Your place'), position),
        progress, estimate,
        h('dl', { class: 'facts' },
            h('div', {}, h('dt', {}, 'Ahead of you'), ahead), h('div', {}, h('dt', {}, 'Waiting in all'), total)));
    const paused = h('p', { class: 'message warning', role: 'status', hidden: true },
        'The sale is paused. Your place is kept.');
    let inLobby = false;
    let best = Infinity;
    let spokenAtMs = 0;
    let pendingSpeech = null;

    function update(state) {
        // Messages carry no status: without a place, who was in the lobby still is.
        inLobby = state.status === 'lobby' || (inLobby && !(state.position >= 1));
        lobby.hidden = !inLobby;
        numbers.hidden = inLobby;
        setText(title, inLobby ? 'You are in the lobby' : 'You are in the queue');
        if (inLobby) {
            const others = state.totalWaiting > 1 ? ` ${number(state.totalWaiting)} people are here.` : '';
            setText(lobby, `The sale opens ${dateTime(event.sale?.opensAt)}. Places are then drawn by lot among`
                + ` everyone in the lobby: being early is no advantage, and you need do nothing.${others}`);
            return;
        }
        if (!(state.position >= 1)) return;
        // Answers and messages may cross on the wire. A place never gets worse, so the better one is the newer one.
        if (state.position > best) return;
        best = state.position;
        const start = Math.max(best, Number(sessionStorage.getItem(startKey)) || 0);
        sessionStorage.setItem(startKey, String(start));
        setText(position, number(state.position));
        setText(ahead, number(state.ahead ?? state.position - 1));
        const all = state.totalWaiting ?? state.queueSize;
        if (Number.isFinite(all)) setText(total, number(all));
        setText(estimate, rangeInWords(state.etaRange, state.etaSeconds ?? NaN));
        progress.value = progressOf(start, state.position);
        speak();
    }

    function speak() {
        clearTimeout(pendingSpeech);
        const wait = spokenAtMs + SPEAK_INTERVAL_MS - Date.now();
        if (wait > 0) {
            pendingSpeech = setTimeout(speak, wait);
            return;
        }
        spokenAtMs = Date.now();
        setText(spoken, `You are number ${position.textContent} in the queue. ${estimate.textContent}.`);
    }

    const element = h('section', {
        class: 'card waiting stack', id: 'waiting-room', 'data-testid': 'waiting-room',
        'aria-labelledby': 'waiting-title',
    },
    title, paused, lobby, numbers, spoken,
    h('p', { class: 'soft' },
        'You can reload, lose the network or use another tab: your place is kept. You are let in automatically.'),
    event.queue?.mode === 'lobby' && askDraw ? drawDisclosure(askDraw) : null,
    confirmButton({
        testId: 'leave-queue', label: 'Leave the queue', question: 'Yes, give up my place', keep: 'Stay', action: leave,
        onError: (error) => notify(error.message, 'error'),
    }));
    update(queue);
    return {
        element,
        update,
        setPaused(value) {
            paused.hidden = !value;
        },
        stop: () => clearTimeout(pendingSpeech),
    };
}

/** Leaving or being let in ends the way: the next one starts at its own place. */
export function forgetStart(eventId) {
    sessionStorage.removeItem(`holdfast.queue-start.${eventId}`);
}
