// The page: a view per hash, a menu, and the rule that everything but signing in needs somebody signed in.

import { actionButton, fill, h } from './dom.js';
import { onSession, person, signOut } from './account/session.js';
import { signInView } from './account/sign-in.js';
import { startBanner } from './connection/banner.js';
import { live, startIfSignedIn } from './connection/live.js';
import { eventsView, placeOf } from './events/list.js';
import { eventPage } from './events/page.js';
import { checkoutView } from './checkout/view.js';
import { ticketsView } from './tickets/view.js';

const routes = [
    [/^#\/sign-in$/, (outlet) => signInView(outlet, { mode: 'sign-in' }, signInContext()), { open: true }],
    [/^#\/register$/, (outlet) => signInView(outlet, { mode: 'register' }, signInContext()), { open: true }],
    [/^#\/events$/, (outlet) => eventsView(outlet)],
    [/^#\/events\/([^/]+)$/, (outlet, eventId) => eventPage(outlet, { eventId })],
    [/^#\/checkout\/([^/]+)$/, (outlet, reservationId) => checkoutView(outlet, { reservationId })],
    [/^#\/tickets$/, (outlet) => ticketsView(outlet)],
];

const main = document.getElementById('main');
const nav = document.getElementById('nav');
let view = null;
let wanted = null;
let reason = null;
// True until the person goes somewhere by themselves: then a restored place may still take them there.
let landing = location.hash === '' || location.hash === '#/';

function signInContext() {
    const why = reason;
    reason = null;
    return {
        reason: why,
        arrived() {
            landing = wanted === null;
            const target = wanted ?? '#/events';
            wanted = null;
            location.hash = target;
        },
    };
}

function route() {
    const hash = location.hash === '' || location.hash === '#/' ? '#/events' : location.hash;
    const tried = routes.map(([pattern, make, options]) => ({ match: pattern.exec(hash), make, options }));
    const found = tried.find(({ match }) => match);
    if (!found) {
        location.replace('#/events');
        return;
    }
    if (!person() && !found.options?.open) {
        wanted = hash === '#/events' ? null : hash;
        location.replace('#/sign-in');
        return;
    }
    if (person() && found.options?.open) {
        location.replace('#/events');
        return;
    }
    if (hash !== '#/events') landing = false;
    view?.stop();
    view = found.make(main, ...found.match.slice(1).map(safeDecode));
    document.title = `${view.title} · Holdfast`;
    main.dataset.route = hash;
    showMenu(hash);
    main.querySelector('h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
}

function safeDecode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

function showMenu(hash) {
    const who = person();
    const link = (target, label, testId) =>
        h('a', { href: target, 'data-testid': testId, 'aria-current': hash === target ? 'page' : null }, label);
    fill(nav, who && [
        link('#/events', 'Events', 'nav-events'),
        link('#/tickets', 'My tickets', 'nav-tickets'),
        h('span', { class: 'who', 'data-testid': 'who' }, who.userName ?? who.userId),
        actionButton({ class: 'quiet', 'data-testid': 'sign-out' }, 'Sign out', signOut, () => {}),
    ]);
}

onSession(({ signedIn, reason: why }) => {
    if (signedIn) return;
    if (why !== 'signed-out') {
        reason = why;
        wanted = /^#\/(events\/|checkout\/|tickets)/.test(location.hash) ? location.hash : null;
    } else {
        wanted = null;
    }
    const keep = wanted;
    if (location.hash === '#/sign-in') route();
    else location.hash = '#/sign-in';
    wanted = keep;
});

live.on('session-restored', (state) => {
    const id = placeOf(state);
    if (!landing || !id) return;
    landing = false;
    location.replace(`#/events/${encodeURIComponent(id)}`);
});

// The skip link must not change the hash, which is the route.
document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
});

addEventListener('hashchange', route);
startBanner(document.getElementById('connection-banner'));
startIfSignedIn();
route();
