// How the lobby is drawn: what was published before, one's own place, and what anybody needs to check it.

import { fill, h } from '../dom.js';
import { number } from '../format.js';

/** A closed box that asks for the draw whenever it is opened. `ask()` gives the answer of `/api/queue/draw/…`. */
export function drawDisclosure(ask) {
    const facts = h('dl', { class: 'facts draw', 'data-testid': 'draw-facts' });
    const text = h('p', { class: 'soft', 'data-testid': 'draw-text' });
    const element = h('details', { class: 'draw', 'data-testid': 'draw' },
        h('summary', {}, 'How the draw is made'), text, facts);
    element.addEventListener('toggle', async () => {
        if (!element.open) return;
        try {
            const draw = await ask();
            fill(text, drawInWords(draw));
            fill(facts, ...drawFacts(draw).map(([term, value]) =>
                h('div', {}, h('dt', {}, term), h('dd', { class: 'code' }, value))));
        } catch {
            fill(text, 'The draw cannot be shown just now. Close and open this to try again.');
        }
    });
    return element;
}

/** One sentence for where the draw is. Pure. */
export function drawInWords(draw) {
    const people = `${number(draw.rosterSize)} ${draw.rosterSize === 1 ? 'person' : 'people'}`;
    if (draw.revealed) {
        const mine = draw.proof?.rank ? ` You drew place ${number(draw.proof.rank)}.` : '';
        return `${people} took part.${mine} With the secret and the roster anybody can draw again and must get the same.`;
    }
    return 'A secret decides the draw. Its hash is fixed already, so it cannot be chosen to suit anybody: note it, and'
        + ` compare it with the secret that is revealed after the draw. ${people} are in the lobby.`;
}

/** What to note, term by term. Pure. */
export function drawFacts(draw) {
    const facts = [
        ['Hash of the secret', draw.commitment],
        [draw.rosterClosed ? 'Root of the roster' : 'Root of the roster so far', draw.rosterRoot],
    ];
    if (draw.revealed) facts.push(['Secret', draw.revealed.secret]);
    if (draw.proof) {
        facts.push(['Your ticket', draw.proof.ticket], ['Your entry in the roster', draw.proof.leaf]);
    }
    return facts;
}
