// The hall as a list: section, row, then a button per seat. Everything the map can do, by keyboard and by ear.

import { fill, h, setText } from '../dom.js';
import { money, plural } from '../format.js';

const statusWords = {
    available: 'free', locked: 'being chosen by someone', reserved: 'sold', mine: 'yours', pending: 'asking…',
};
const statusSigns = { available: '', locked: '◔', reserved: '×', mine: '✓', pending: '…' };

export class SeatList {
    #statusOf;
    #onPick;
    #currency;
    #sections = new Map();
    #sectionChoice = h('select', { id: 'seat-section', 'data-testid': 'seat-section' });
    #rowChoice = h('select', { id: 'seat-row', 'data-testid': 'seat-row' });
    #row = h('div', {
        class: 'seat-row', role: 'group', 'data-testid': 'seat-buttons',
        'aria-label': 'Seats of this row; arrow keys move',
    });
    #buttons = new Map();

    constructor({ statusOf, onPick, currency }) {
        this.#statusOf = statusOf;
        this.#onPick = onPick;
        this.#currency = currency;
        this.#sectionChoice.addEventListener('change', () => this.#showRows());
        this.#rowChoice.addEventListener('change', () => this.#showSeats());
        this.#row.addEventListener('keydown', (event) => this.#move(event));
        this.element = h('div', { class: 'seat-list', 'data-testid': 'seat-list' },
            h('div', { class: 'fields' },
                h('div', { class: 'field' }, h('label', { for: 'seat-section' }, 'Section'), this.#sectionChoice),
                h('div', { class: 'field' }, h('label', { for: 'seat-row' }, 'Row'), this.#rowChoice)),
            this.#row);
    }

    setSeats(seats) {
        const [section, row] = [this.#sectionChoice.value, this.#rowChoice.value];
        this.#sections = new Map();
        for (const seat of seats) {
            if (!this.#sections.has(seat.section)) this.#sections.set(seat.section, new Map());
            const rows = this.#sections.get(seat.section);
            if (!rows.has(String(seat.row))) rows.set(String(seat.row), []);
            rows.get(String(seat.row)).push(seat);
        }
        fill(this.#sectionChoice, [...this.#sections.keys()].map((name) => h('option', { value: name }, name)));
        if (this.#sections.has(section)) this.#sectionChoice.value = section;
        this.#showRows(row);
    }

    #showRows(keep) {
        const rows = this.#sections.get(this.#sectionChoice.value) ?? new Map();
        fill(this.#rowChoice, [...rows.keys()].map((name) => h('option', { value: name }, name)));
        if (keep !== undefined && rows.has(keep)) this.#rowChoice.value = keep;
        this.#showSeats();
    }

    #showSeats() {
        const seats = this.#sections.get(this.#sectionChoice.value)?.get(this.#rowChoice.value) ?? [];
        this.#buttons = new Map();
        fill(this.#row, seats.map((seat) => {
            const sign = h('span', { class: 'sign', 'aria-hidden': 'true' });
            const button = h('button', {
                type: 'button', class: 'seat', tabindex: '-1', 'data-testid': 'seat',
                dataset: { seatId: seat.id },
                on: { click: () => this.#onPick(seat.id) },
            }, h('span', {}, String(seat.number)), sign);
            this.#buttons.set(seat.id, { seat, button, sign });
            return button;
        }));
        if (this.#row.firstElementChild) this.#row.firstElementChild.tabIndex = 0;
        this.refresh();
    }

    /** One stop of the tab key for the whole row; the arrow keys go from seat to seat. */
    #move(event) {
        const buttons = [...this.#row.children];
        const at = buttons.indexOf(event.target);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (at < 0 || !buttons[to]) return;
        event.preventDefault();
        event.target.tabIndex = -1;
        buttons[to].tabIndex = 0;
        buttons[to].focus();
    }

    /** Brings the visible row and the counts up to date. */
    refresh() {
        for (const [id, { seat, button, sign }] of this.#buttons) {
            const status = this.#statusOf(id);
            if (button.dataset.status === status) continue;
            button.dataset.status = status;
            button.setAttribute('aria-pressed', String(status === 'mine' || status === 'pending'));
            button.setAttribute('aria-disabled', String(status === 'locked' || status === 'reserved'));
            button.setAttribute('aria-label',
                `Row ${seat.row}, seat ${seat.number}, ${money(seat.price, this.#currency)}, ${statusWords[status]}${seat.accessible ? ', accessible' : ''}`);
            setText(sign, statusSigns[status]);
        }
    }

    /** `available` maps sections to the number of free seats. */
    setAvailability(available) {
        for (const option of this.#sectionChoice.options) {
            const free = available[option.value];
            const price = this.#sections.get(option.value)?.values().next().value?.[0]?.price;
            const words = [option.value];
            if (price !== undefined) words.push(money(price, this.#currency));
            if (Number.isFinite(free)) words.push(`${plural(free, 'seat')} free`);
            setText(option, words.join(' · '));
        }
    }
}
