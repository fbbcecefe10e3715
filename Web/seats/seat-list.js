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
    #row = h('div', { class: 'seat-row', role: 'group', 'data-testid': 'seat-buttons', 'aria-label': 'Seats of this row' });
    #buttons = new Map();

    constructor({ statusOf, onPick, currency }) {
        this.#statusOf = statusOf;
        this.#onPick = onPick;
        this.#currency = currency;
        this.#sectionChoice.addEventListener('change', () => this.#showRows());
        this.#rowChoice.addEventListener('change', () => this.#showSeats());
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

    /** Goes to a seat's row, for a link from elsewhere on the page. */
    reveal(seat) {
        this.#sectionChoice.value = seat.section;
        this.#showRows(String(seat.row));
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
                type: 'button', class: 'seat', 'data-testid': 'seat', dataset: { seatId: seat.id },
                on: { click: () => this.#onPick(seat.id) },
            }, h('span', {}, String(seat.number)), sign);
            this.#buttons.set(seat.id, { seat, button, sign });
            return button;
        }));
        this.refresh();
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
                `Row ${seat.row}, seat ${seat.number}, ${money(seat.price, this.#currency)}, ${statusWords[status]}`);
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
