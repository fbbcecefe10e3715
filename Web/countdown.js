import { h, setText } from './dom.js';
import { clockText } from './format.js';
import { serverClock } from './clock.js';

/**
 * A ticking deadline. `set(iso)` starts or moves it, `set(null)` clears it, `stop()` ends the timer.
 * Screen readers hear it at five, two and one minute and at 30 s, not every second.
 */
export function countdown({ label, testId, onEnd }) {
    const text = h('span', { class: 'clock', 'data-testid': testId, role: 'timer', 'aria-live': 'off' });
    const spoken = h('span', { class: 'hidden-visually', 'aria-live': 'polite' });
    const element = h('span', { class: 'countdown', hidden: true },
        h('span', { class: 'countdown-label' }, label), ' ', text, spoken);
    let expiresAt = null;
    let ended = false;
    let lastMarkSeconds = Infinity;

    function tick() {
        if (!expiresAt) return;
        const remaining = serverClock.remainingMs(expiresAt);
        setText(text, clockText(remaining));
        element.classList.toggle('urgent', remaining < 60_000);
        const mark = [30, 60, 120, 300].find((seconds) => remaining <= seconds * 1000);
        if (mark !== undefined && mark < lastMarkSeconds) {
            lastMarkSeconds = mark;
            setText(spoken, `${label} ${clockText(remaining)}`);
        }
        if (remaining <= 0 && !ended) {
            ended = true;
            onEnd?.();
        }
    }

    const timer = setInterval(tick, 250);
    return {
        element,
        set(iso) {
            if (iso !== expiresAt) {
                ended = false;
                lastMarkSeconds = Infinity;
            }
            expiresAt = iso ?? null;
            element.hidden = !expiresAt;
            if (expiresAt) text.dataset.expiresAt = expiresAt;
            tick();
        },
        stop: () => clearInterval(timer),
    };
}
