// Where each seat is drawn. Pure. The unit is the distance between two neighbouring seats.
//
// Sections are blocks, packed left to right and top to bottom below the stage, in the order they come (dearest first in
// most event files), at the width that brings the whole hall nearest to the shape of the screen.

const LABEL_HEIGHT = 2.4;
const GAP = 2;
const STAGE_HEIGHT = 5;
/** Blocks more unlike than this do not stand side by side: a small front section gets the middle to itself. */
const MAX_HEIGHT_RATIO = 1.6;
const natural = new Intl.Collator('en', { numeric: true }).compare;

/**
 * Gives `{width, height, stage, labels:[{text,x,y}], rows:[{text,x,y}], places:[{id,number,x,y}]}`; x and y are
 * centres.
 */
export function arrange(seats, aspect = 1.5) {
    const blocks = blocksOf(seats);
    const widest = Math.max(1, ...blocks.map((block) => block.width));
    const total = blocks.reduce((sum, block) => sum + block.width + GAP, 0);
    let best = null;
    // At most 60 trials, whatever the number of sections.
    for (let step = 0; step < 60; step += 1) {
        const packed = pack(blocks, widest + ((total - widest) * step) / 59);
        const misfit = Math.abs(Math.log(packed.width / packed.height / aspect));
        if (!best || misfit < best.misfit) best = { ...packed, misfit };
    }
    return place(best ?? { rows: [], width: 1, height: STAGE_HEIGHT });
}

function blocksOf(seats) {
    const sections = new Map();
    for (const seat of seats) {
        if (!sections.has(seat.section)) sections.set(seat.section, new Map());
        const rows = sections.get(seat.section);
        if (!rows.has(seat.row)) rows.set(seat.row, []);
        rows.get(seat.row).push(seat);
    }
    return [...sections].map(([name, rowMap]) => {
        const rows = [...rowMap]
            .sort(([a], [b]) => natural(String(a), String(b)))
            .map(([, row]) => row.sort((a, b) => natural(String(a.number), String(b.number))));
        const width = Math.max(...rows.map((row) => row.length));
        return { name, rows, width, height: rows.length + LABEL_HEIGHT };
    });
}

function pack(blocks, maxWidth) {
    const rows = [];
    for (const block of blocks) {
        const last = rows.at(-1);
        const [low, high] = last ? [last.height, block.height].sort((a, b) => a - b) : [];
        const alike = last && high <= MAX_HEIGHT_RATIO * low;
        if (alike && last.width + GAP + block.width <= maxWidth + 0.01) {
            last.blocks.push(block);
            last.width += GAP + block.width;
            last.height = Math.max(last.height, block.height);
        } else {
            rows.push({ blocks: [block], width: block.width, height: block.height });
        }
    }
    const width = Math.max(1, ...rows.map((row) => row.width)) + 2 * GAP;
    const height = rows.reduce((sum, row) => sum + row.height + GAP, STAGE_HEIGHT + GAP);
    return { rows, width, height };
}

function place({ rows, width, height }) {
    const labels = [];
    const rowLabels = [];
    const places = [];
    let top = STAGE_HEIGHT;
    for (const row of rows) {
        let left = (width - row.width) / 2;
        for (const block of row.blocks) {
            labels.push({ text: block.name, x: left + block.width / 2, y: top + LABEL_HEIGHT / 2 });
            for (const [r, seatsInRow] of block.rows.entries()) {
                const start = left + (block.width - seatsInRow.length) / 2;
                const y = top + LABEL_HEIGHT + r + 0.5;
                rowLabels.push({ text: String(seatsInRow[0].row), x: start - 0.5, y });
                for (const [n, seat] of seatsInRow.entries()) {
                    places.push({ id: seat.id, number: String(seat.number), x: start + n + 0.5, y });
                }
            }
            left += block.width + GAP;
        }
        top += row.height + GAP;
    }
    const stage = { x: width / 2, y: 1.6, width: width * 0.5, height: 2 };
    return { width, height, labels, rows: rowLabels, places, stage };
}

/** Finds seats by position, in constant time. */
export class SeatGrid {
    #cells = new Map();

    constructor(places) {
        for (const place of places) {
            const key = cell(place.x, place.y);
            if (!this.#cells.has(key)) this.#cells.set(key, []);
            this.#cells.get(key).push(place);
        }
    }

    /** The place nearest to a point, at most `reach` away, or null. */
    nearest(x, y, reach = 0.6) {
        let best = null;
        let bestDistance = reach;
        for (let dx = -1; dx <= 1; dx += 1) {
            for (let dy = -1; dy <= 1; dy += 1) {
                for (const place of this.#cells.get(cell(x + dx, y + dy)) ?? []) {
                    const distance = Math.hypot(place.x - x, place.y - y);
                    if (distance <= bestDistance) [best, bestDistance] = [place, distance];
                }
            }
        }
        return best;
    }
}

function cell(x, y) {
    return `${Math.floor(x)},${Math.floor(y)}`;
}
