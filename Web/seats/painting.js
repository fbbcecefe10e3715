// Draws the hall: a few path operations per kind of seat, whatever their number. The unit is the distance between two
// neighbouring seats; the context is already scaled and moved.

/** Below this many pixels a seat is too small for signs: squares, told apart by colour. */
const MIN_SIGN_PX = 7;
/** From here on there is room for words: seat numbers and rows. */
const MIN_WORDS_PX = 20;
const SHAPES = ['available', 'locked', 'reserved', 'pending', 'mine'];
const font = (size, weight = 600) => `${weight} ${size}px system-ui, sans-serif`;

/**
 * `plan` comes from `arrange`, `view` is `{scale, x, y, reachX, reachY}`: pixels per seat, the middle, and how far one
 * sees from there. `statusOf(id)` gives one of the shapes, `colour(name)` a custom property of the style sheet.
 */
export function paintHall(context, { plan, view, statusOf, colour }) {
    paintStage(context, plan, view, colour);
    const groups = new Map(SHAPES.map((shape) => [shape, []]));
    for (const place of plan.places) if (inSight(place, view)) groups.get(statusOf(place.id))?.push(place);
    for (const [shape, places] of groups) {
        if (places.length > 0) paintSeats(context, shape, places, view, colour);
    }
    if (view.scale < MIN_WORDS_PX) return;
    context.font = font(0.42);
    context.fillStyle = colour('--seat-number');
    for (const place of groups.get('available')) context.fillText(place.number, place.x, place.y + 0.03);
    context.fillStyle = colour('--text-soft');
    for (const { text, x, y } of plan.rows) if (inSight({ x, y }, view)) context.fillText(text, x, y + 0.03);
}

function inSight({ x, y }, view) {
    return Math.abs(x - view.x) <= view.reachX && Math.abs(y - view.y) <= view.reachY;
}

function paintStage(context, { stage, labels }, { scale }, colour) {
    context.fillStyle = colour('--stage');
    context.beginPath();
    context.roundRect(stage.x - stage.width / 2, stage.y - stage.height / 2, stage.width, stage.height, 0.8);
    context.fill();
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = colour('--text-soft');
    // Readable far out, modest near by.
    context.font = font(Math.min(20, Math.max(11, 1.1 * scale)) / scale);
    context.fillText('STAGE', stage.x, stage.y);
    for (const label of labels) context.fillText(label.text, label.x, label.y);
}

/** One path per shape; forms differ like colours: disc, ring, cross, ring with a dot, square with a tick. */
function paintSeats(context, shape, places, { scale }, colour) {
    context.fillStyle = colour(`--seat-${shape}`);
    context.strokeStyle = context.fillStyle;
    context.beginPath();
    if (scale < MIN_SIGN_PX) {
        const half = shape === 'mine' || shape === 'pending' ? 0.6 : 0.38;
        for (const { x, y } of places) context.rect(x - half, y - half, 2 * half, 2 * half);
        context.fill();
        return;
    }
    for (const { x, y } of places) outline(context, shape, x, y);
    context.lineWidth = 0.14;
    if (shape === 'available' || shape === 'mine') context.fill();
    else context.stroke();
    context.beginPath();
    if (shape === 'mine') {
        for (const { x, y } of places) {
            context.moveTo(x - 0.22, y);
            context.lineTo(x - 0.05, y + 0.18);
            context.lineTo(x + 0.24, y - 0.18);
        }
        context.strokeStyle = colour('--seat-mark');
        context.stroke();
    } else if (shape === 'pending') {
        for (const { x, y } of places) context.rect(x - 0.12, y - 0.12, 0.24, 0.24);
        context.fill();
    }
}

function outline(context, shape, x, y) {
    if (shape === 'mine') {
        context.roundRect(x - 0.45, y - 0.45, 0.9, 0.9, 0.2);
    } else if (shape === 'reserved') {
        context.moveTo(x - 0.2, y - 0.2);
        context.lineTo(x + 0.2, y + 0.2);
        context.moveTo(x + 0.2, y - 0.2);
        context.lineTo(x - 0.2, y + 0.2);
    } else {
        const radius = shape === 'available' ? 0.4 : 0.33;
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
    }
}
