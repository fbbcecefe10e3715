// Elements without markup strings. Whatever comes from the server becomes a text node or a property,
// never HTML, so a title such as "<b>" is shown and not run.

/**
 * Makes an element.
 *
 * `props`: `class`, `dataset`, `on` (an object of listeners), or any attribute; `null`, `undefined` and `false` are
 * left out, `true` is an empty attribute. Children are nodes, strings, numbers, arrays of them, or nothing.
 */
export function h(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name === 'on') {
            for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
        } else if (name === 'dataset') {
            Object.assign(element.dataset, value);
        } else if (name === 'value') {
            element.value = value;
        } else {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
    append(element, children);
    return element;
}

function append(element, children) {
    for (const child of children) {
        if (Array.isArray(child)) append(element, child);
        else if (child !== null && child !== undefined && child !== false) element.append(child);
    }
}

/** Replaces an element's children. */
export function fill(element, ...children) {
    element.replaceChildren();
    append(element, children);
    return element;
}

/** Sets text only when it differs, so that live regions are not announced twice. */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** A short message in the corner: said by screen readers, gone after a while unless it is an error. */
export function notify(message, kind = 'info') {
    const box = document.getElementById('notices');
    const notice = h('div', { class: `notice ${kind}`, 'data-testid': 'notice' },
        h('span', {}, message),
        h('button', {
            type: 'button', class: 'plain', 'aria-label': 'Dismiss', on: { click: () => notice.remove() },
        }, '×'));
    // Five at most: the oldest makes room.
    while (box.children.length >= 5) box.firstElementChild.remove();
    box.append(notice);
    setTimeout(() => notice.remove(), kind === 'error' ? 12_000 : 6_000);
}

/**
 * A button that cannot be pressed twice: busy while its action runs, its errors shown by `onError`. It is not disabled
 * meanwhile, because a disabled button loses the keyboard's focus.
 */
export function actionButton(props, label, action, onError) {
    const button = h('button', { type: 'button', ...props }, label);
    button.addEventListener('click', async () => {
        if (button.getAttribute('aria-busy') === 'true') return;
        button.setAttribute('aria-busy', 'true');
        try {
            await action();
        } catch (error) {
            onError(error);
        } finally {
            button.removeAttribute('aria-busy');
        }
    });
    return button;
}

/** A button that asks once more in its place before it acts. */
export function confirmButton({ testId, label, question, keep = 'Keep', action, onError }) {
    const box = h('span', { class: 'row' });
    const ask = h('button', { type: 'button', class: 'quiet', 'data-testid': testId, on: { click: confirm } }, label);
    function reset() {
        fill(box, ask);
        ask.focus();
    }
    function confirm() {
        const yes = actionButton({ class: 'danger', 'data-testid': `${testId}-confirm` }, question, action, (error) => {
            reset();
            onError(error);
        });
        fill(box, yes, h('button', { type: 'button', class: 'quiet', on: { click: reset } }, keep));
        yes.focus();
    }
    return fill(box, ask);
}

/** Moves the keyboard to the heading of a part of the page that has just taken the place of another. */
export function focusHeading(element) {
    element.querySelector('h1, h2')?.focus({ preventScroll: true });
}
