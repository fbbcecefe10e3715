// Sign in, or make an account and be signed in.

import { fill, h, setText } from '../dom.js';
import { register, signIn } from './session.js';

/** `context`: `{reason, arrived()}`: why the person is here, and what happens once they are signed in. */
export function signInView(outlet, { mode }, context) {
    const registering = mode === 'register';
    const message = h('p', {
        class: 'message', role: 'alert', 'data-testid': 'sign-in-message', hidden: !context.reason,
    }, context.reason ?? '');
    const label = registering ? 'Create account' : 'Sign in';
    const submit = h('button', { type: 'submit', class: 'primary', 'data-testid': 'sign-in-submit' }, label);
    const testId = registering ? 'register-form' : 'sign-in-form';
    const form = h('form', { class: 'card stack', novalidate: true, 'data-testid': testId },
        message,
        field('user_id', 'User id', { autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' }),
        registering && field('user_name', 'Your name', { autocomplete: 'name' }),
        registering && field('email', 'E-mail', { type: 'email', autocomplete: 'email' }),
        registering
            ? field('password', 'Password (8 characters or more)', { type: 'password', autocomplete: 'new-password' })
            : field('password', 'Password', { type: 'password', autocomplete: 'current-password' }),
        submit,
        h('p', { class: 'soft' }, registering ? 'Already have an account? ' : 'New here? ',
            registering
                ? h('a', { href: '#/sign-in' }, 'Sign in')
                : h('a', { href: '#/register', 'data-testid': 'to-register' }, 'Create an account')));

    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        if (submit.disabled) return;
        const values = Object.fromEntries(new FormData(form));
        const missing = [...form.querySelectorAll('input')].filter((input) => !input.value.trim());
        clearErrors(form);
        if (missing.length > 0) {
            for (const input of missing) showFieldError(input, 'Please fill this in.');
            missing[0].focus();
            return;
        }
        submit.disabled = true;
        message.hidden = true;
        try {
            if (registering) {
                await register({
                    userId: values.user_id.trim(), userName: values.user_name.trim(), email: values.email.trim(),
                    password: values.password,
                });
            } else {
                await signIn(values.user_id.trim(), values.password);
            }
            context.arrived();
        } catch (error) {
            showProblem(error);
        } finally {
            submit.disabled = false;
        }
    });

    function showProblem(error) {
        const wait = error.retryAfterSeconds ? ` Try again in ${error.retryAfterSeconds} seconds.` : '';
        let placed = 0;
        for (const { field: name, detail } of error.errors ?? []) {
            const input = form.querySelector(`[name="${CSS.escape(String(name))}"]`);
            if (!input) continue;
            showFieldError(input, sentence(String(detail)));
            placed += 1;
        }
        if (placed > 0) form.querySelector('[aria-invalid]').focus();
        else if (error.status === 401) form.elements.password.select();
        setText(message, placed > 0 ? 'Please correct the marked fields.' : error.message + wait);
        message.hidden = false;
    }

    fill(outlet, h('section', { class: 'narrow stack', 'data-testid': 'sign-in-page' },
        h('h1', { tabindex: '-1' }, registering ? 'Create your account' : 'Sign in'), form));
    return { title: registering ? 'Create an account' : 'Sign in', stop() {} };
}

function field(name, label, attributes) {
    const id = `field-${name}`;
    return h('div', { class: 'field' },
        h('label', { for: id }, label),
        h('input', {
            id, name, type: 'text', required: true, 'aria-describedby': `${id}-error`, 'data-testid': id, ...attributes,
        }),
        h('span', { id: `${id}-error`, class: 'field-error' }));
}

/** The service says "must have …"; beside a field that starts a sentence. */
function sentence(text) {
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

function showFieldError(input, text) {
    input.setAttribute('aria-invalid', 'true');
    setText(document.getElementById(`${input.id}-error`), text);
}

function clearErrors(form) {
    for (const input of form.querySelectorAll('[aria-invalid]')) {
        input.removeAttribute('aria-invalid');
        setText(document.getElementById(`${input.id}-error`), '');
    }
}
