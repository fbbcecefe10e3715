// Standing areas: places that are counted, not chosen. One line each, with fewer and more.
//
// A place that one has is an id among the selected seats, `Floor-0-17`. One that is wished for has no number yet, and is
// written `Floor-0-?1` until the service has said which it is.

import { fill, h, setText } from '../dom.js';
import { money, plural } from '../format.js';

/** The area's name of a standing place; null for a numbered seat, whose rows begin at 1. */
export function areaOf(id) {
    return /^(.+)-0-\??\d+$/u.exec(id)?.[1] ?? null;
}

/** A wish for these places, as `seat-selection-changed` takes it. */
export function wishFor(ids) {
    const seats = [];
    const generalAdmission = {};
    for (const id of ids) {
        const area = areaOf(id);
        if (area === null) seats.push(id);
        else generalAdmission[area] = (generalAdmission[area] ?? 0) + 1;
    }
    return Object.keys(generalAdmission).length > 0 ? { seats, generalAdmission } : { seats };
}

/** `ids` with one more place of the area. */
export function withOneMore(ids, area) {
    let number = 1;
    while (ids.includes(`${area}-0-?${number}`)) number += 1;
    return [...ids, `${area}-0-?${number}`];
}

/** `ids` with one place of the area less: the newest. */
export function withOneLess(ids, area) {
    const last = ids.findLastIndex((id) => areaOf(id) === area);
    return ids.filter((_, index) => index !== last);
}

export class StandingAreas {
    #lines = new Map();
    #selection;

    /** `areas`: `[{name, price, capacity}]`; `onMore()` may refuse with a reason, or give null. */
    constructor({ areas, currency, selection, mayHaveMore }) {
        this.#selection = selection;
        this.element = h('section', {
            class: 'card stack standing', 'aria-labelledby': 'standing-title', 'data-testid': 'standing', hidden: areas.length === 0,
        }, h('h2', { class: 'small', id: 'standing-title' }, 'Standing'));
        const list = h('ul', { class: 'areas' });
        fill(list, areas.map((area) => {
            const left = h('span', { class: 'soft', 'data-testid': 'standing-left' });
            const count = h('output', { 'data-testid': 'standing-count', 'aria-live': 'polite' }, '0');
            const less = h('button', {
                type: 'button', class: 'quiet', 'data-testid': 'standing-less', 'aria-label': `One place less in ${area.name}`,
                on: { click: () => selection.want(withOneLess(selection.desired, area.name)) },
            }, '−');
            const more = h('button', {
                type: 'button', class: 'quiet', 'data-testid': 'standing-more', 'aria-label': `One more place in ${area.name}`,
                on: { click: () => mayHaveMore() && selection.want(withOneMore(selection.desired, area.name)) },
            }, '+');
            this.#lines.set(area.name, { left, count, less });
            return h('li', { class: 'row', dataset: { area: area.name }, 'data-testid': 'standing-area' },
                h('span', {}, `${area.name} · ${money(area.price, currency)}`), left, less, count, more);
        }));
        this.element.append(list);
    }

    setAvailability(available) {
        for (const [name, { left }] of this.#lines) {
            const free = available[name];
            if (Number.isFinite(free)) setText(left, `${plural(free, 'place')} free`);
        }
    }

    refresh() {
        for (const [name, { count, less }] of this.#lines) {
            const wished = this.#selection.desired.filter((id) => areaOf(id) === name).length;
            setText(count, String(wished));
            less.disabled = wished === 0;
        }
    }
}
