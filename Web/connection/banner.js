// The strip at the top: hidden while connected, yellow while reconnecting, red when offline. Words and a symbol say
// the same as the colour.

import { fill, h, setText } from '../dom.js';
import { live } from './live.js';

const words = {
    reconnecting: { symbol: '↻', text: 'Reconnecting… Your place and seats are kept.' },
    offline: { symbol: '⚠', text: 'You are offline. Your place and seats are kept.' },
};

export function startBanner(element) {
    const seconds = h('span', { class: 'banner-seconds', 'aria-hidden': 'true' });
    let shown = null;

    function show(state) {
        const say = words[state];
        element.dataset.state = say ? state : 'hidden';
        document.documentElement.dataset.connection = state;
        element.hidden = !say;
        if (say && shown !== state) {
            fill(element,
                h('span', {}, h('span', { 'aria-hidden': 'true' }, `${say.symbol} `), say.text), seconds,
                h('button', {
                    type: 'button', class: 'plain', 'data-testid': 'retry-now', on: { click: () => live.retryNow() },
                }, 'Try now'));
        }
        shown = say ? state : null;
        tick();
    }

    function tick() {
        const left = live.retryAtMs === null ? 0 : Math.ceil((live.retryAtMs - Date.now()) / 1000);
        setText(seconds, shown === 'reconnecting' && left > 0 ? `Next try in ${left} s` : '');
    }

    live.onState(show);
    setInterval(tick, 500);
    show(live.state);
}
