// The hall on a canvas: 5,000 seats are a few path operations per frame, drawn only when something changed. The
// canvas is for eyes and pointers; the list beside it (seat-list.js) says and does the same for keyboards and screen
// readers.

import { h } from '../dom.js';
import { arrange, SeatGrid } from './geometry.js';
import { paintHall } from './painting.js';

/** Below this many pixels a seat cannot be hit on purpose: a tap zooms in instead. */
const MIN_TAP_PX = 11;
const MAX_PX_PER_SEAT = 64;
/** A window that changes its shape by more than this gets the hall arranged anew. */
const MAX_ASPECT_CHANGE = 1.25;

export class SeatMap {
    #canvas = h('canvas', { class: 'seat-map', 'data-testid': 'seat-map', 'aria-hidden': 'true' });
    #tip = h('div', { class: 'seat-tip', hidden: true });
    #statusOf;
    #describe;
    #onPick;
    #seats = [];
    #aspect = 1.5;
    #plan = null;
    #grid = null;
    #view = { scale: 1, x: 0, y: 0 };
    #fitted = true;
    #frame = 0;
    #pointers = new Map();
    #moved = false;
    #observer;
    #scheme = matchMedia('(prefers-color-scheme: dark)');
    #redraw = () => this.draw();

    /** `statusOf(id)` gives a shape, `describe(id)` the tip's text; `onPick(id)` hears clicks. */
    constructor({ statusOf, describe, onPick }) {
        this.#statusOf = statusOf;
        this.#describe = describe;
        this.#onPick = onPick;
        this.element = h('div', { class: 'seat-map-box' }, this.#canvas, this.#tip);
        /** The map's buttons, to be placed where they cover no seat. */
        this.tools = h('div', { class: 'map-tools', role: 'group', 'aria-label': 'Map' },
            this.#tool('+', 'Zoom in', () => this.#zoomAt(1.6)),
            this.#tool('−', 'Zoom out', () => this.#zoomAt(1 / 1.6)),
            this.#tool('⤢', 'Show the whole hall', () => this.#fit()));
        this.#listen();
        this.#observer = new ResizeObserver(() => this.#resize());
        this.#observer.observe(this.#canvas);
        this.#scheme.addEventListener('change', this.#redraw);
    }

    #tool(sign, label, action) {
        return h('button', { type: 'button', 'aria-label': label, title: label, on: { click: action } }, sign);
    }

    setSeats(seats) {
        this.#seats = seats;
        this.#arrange();
        this.#resize();
        this.#fit();
    }

    #arrange() {
        const { clientWidth: width, clientHeight: height } = this.#canvas;
        this.#aspect = height > 0 ? width / height : 1.5;
        this.#plan = arrange(this.#seats, this.#aspect);
        this.#grid = new SeatGrid(this.#plan.places);
    }

    stop() {
        cancelAnimationFrame(this.#frame);
        this.#observer.disconnect();
        this.#scheme.removeEventListener('change', this.#redraw);
    }

    draw() {
        this.#frame ||= requestAnimationFrame(() => {
            this.#frame = 0;
            this.#paint();
        });
    }

    // ---- the view

    #resize() {
        const ratio = globalThis.devicePixelRatio || 1;
        const { clientWidth: width, clientHeight: height } = this.#canvas;
        if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
            this.#canvas.width = Math.round(width * ratio);
            this.#canvas.height = Math.round(height * ratio);
        }
        const change = height > 0 ? width / height / this.#aspect : 1;
        if (this.#plan && Math.max(change, 1 / change) > MAX_ASPECT_CHANGE) {
            this.#arrange();
            this.#fit();
        } else if (this.#fitted) {
            this.#fit();
        } else {
            this.draw();
        }
    }

    #fitScale() {
        return Math.min(this.#canvas.clientWidth / this.#plan.width, this.#canvas.clientHeight / this.#plan.height);
    }

    #fit() {
        if (!this.#plan) return;
        this.#view = { scale: this.#fitScale(), x: this.#plan.width / 2, y: this.#plan.height / 2 };
        this.#settle();
    }

    #zoomAt(factor, px = this.#canvas.clientWidth / 2, py = this.#canvas.clientHeight / 2) {
        if (!this.#plan) return;
        const point = this.#toPlan(px, py);
        const scale = Math.min(MAX_PX_PER_SEAT, Math.max(this.#fitScale(), this.#view.scale * factor));
        this.#view = {
            scale,
            x: point.x - (px - this.#canvas.clientWidth / 2) / scale,
            y: point.y - (py - this.#canvas.clientHeight / 2) / scale,
        };
        this.#settle();
    }

    /** Keeps the hall in sight; lets the page scroll over a map that is not zoomed in. */
    #settle() {
        this.#fitted = this.#view.scale <= this.#fitScale() * 1.001;
        this.#canvas.classList.toggle('zoomed', !this.#fitted);
        this.#view.x = Math.min(this.#plan.width, Math.max(0, this.#view.x));
        this.#view.y = Math.min(this.#plan.height, Math.max(0, this.#view.y));
        this.draw();
    }

    #toPlan(px, py) {
        return {
            x: this.#view.x + (px - this.#canvas.clientWidth / 2) / this.#view.scale,
            y: this.#view.y + (py - this.#canvas.clientHeight / 2) / this.#view.scale,
        };
    }

    // ---- pointers: drag moves, two fingers or ctrl and wheel zoom, a tap picks

    #listen() {
        const canvas = this.#canvas;
        canvas.addEventListener('pointerdown', (event) => {
            canvas.setPointerCapture(event.pointerId);
            if (this.#pointers.size === 0) this.#moved = false;
            this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
        });
        canvas.addEventListener('pointermove', (event) => this.#pointerMoved(event));
        canvas.addEventListener('pointerup', (event) => {
            const known = this.#pointers.delete(event.pointerId);
            if (known && !this.#moved && this.#pointers.size === 0) this.#tap(event.offsetX, event.offsetY);
        });
        canvas.addEventListener('pointercancel', (event) => this.#pointers.delete(event.pointerId));
        canvas.addEventListener('pointerleave', () => {
            this.#tip.hidden = true;
        });
        canvas.addEventListener('wheel', (event) => {
            if (!event.ctrlKey && !event.metaKey) return;
            event.preventDefault();
            this.#zoomAt(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
        }, { passive: false });
    }

    #pointerMoved(event) {
        const before = this.#pointers.get(event.pointerId);
        if (!before) {
            this.#showTip(event.offsetX, event.offsetY);
            return;
        }
        const dx = event.offsetX - before.x;
        const dy = event.offsetY - before.y;
        if (!this.#moved && Math.hypot(dx, dy) < 5) return;
        this.#moved = true;
        this.#tip.hidden = true;
        if (this.#pointers.size === 2) {
            const other = [...this.#pointers].find(([id]) => id !== event.pointerId)[1];
            const was = Math.hypot(before.x - other.x, before.y - other.y);
            const is = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
            if (was > 0) this.#zoomAt(is / was, (event.offsetX + other.x) / 2, (event.offsetY + other.y) / 2);
        } else if (this.#plan && !this.#fitted) {
            this.#view.x -= dx / this.#view.scale;
            this.#view.y -= dy / this.#view.scale;
            this.#settle();
        }
        this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    }

    #seatAt(px, py) {
        const point = this.#toPlan(px, py);
        return this.#grid?.nearest(point.x, point.y) ?? null;
    }

    #tap(px, py) {
        if (!this.#plan) return;
        if (this.#view.scale < MIN_TAP_PX) this.#zoomAt((MIN_TAP_PX * 2) / this.#view.scale, px, py);
        else {
            const seat = this.#seatAt(px, py);
            if (seat) this.#onPick(seat.id);
        }
    }

    #showTip(px, py) {
        const seat = this.#seatAt(px, py);
        this.#tip.hidden = !seat;
        if (!seat) return;
        this.#tip.textContent = this.#describe(seat.id);
        this.#tip.style.left = `${Math.min(px + 12, this.#canvas.clientWidth - 190)}px`;
        this.#tip.style.top = `${py + 16}px`;
    }

    // ---- painting

    #paint() {
        const context = this.#canvas.getContext('2d');
        const ratio = this.#canvas.width / (this.#canvas.clientWidth || 1);
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
        if (!this.#plan) return;
        const { scale, x, y } = this.#view;
        context.setTransform(scale * ratio, 0, 0, scale * ratio,
            (this.#canvas.clientWidth / 2 - x * scale) * ratio, (this.#canvas.clientHeight / 2 - y * scale) * ratio);
        const style = getComputedStyle(this.#canvas);
        const reachX = this.#canvas.clientWidth / scale / 2 + 1;
        const reachY = this.#canvas.clientHeight / scale / 2 + 1;
        paintHall(context, {
            plan: this.#plan, view: { scale, x, y, reachX, reachY }, statusOf: this.#statusOf,
            colour: (name) => style.getPropertyValue(name).trim(),
        });
    }
}
