// How amounts and times are written for people. Pure: no DOM.

const currencyFormats = new Map();

/** Money. Amounts on the wire are whole major units of the currency: 150000 KRW is ₩150,000. */
export function money(amount, currency) {
    let format = currencyFormats.get(currency);
    if (!format) {
        try {
            format = new Intl.NumberFormat(undefined, {
                style: 'currency', currency, minimumFractionDigits: 0, maximumFractionDigits: 0,
            });
        } catch {
            // A currency code that Intl refuses: the number and the code as they came.
            const plain = new Intl.NumberFormat();
            format = { format: (value) => `${plain.format(value)} ${currency ?? ''}`.trim() };
        }
        currencyFormats.set(currency, format);
    }
    return format.format(amount);
}

export function number(value) {
    return new Intl.NumberFormat().format(value);
}

export function dateTime(iso) {
    const date = new Date(iso);
    if (!iso || Number.isNaN(date.getTime())) return 'to be announced';
    return new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' }).format(date);
}

/** The hour and minute here, such as `10:35`. */
export function time(iso) {
    return new Intl.DateTimeFormat(undefined, { timeStyle: 'short' }).format(new Date(iso));
}

/** `4:05`, or `1:04:05` from an hour on. Rounded up, so that 0:00 means over. */
export function clockText(remainingMs) {
    const total = Math.max(0, Math.ceil(remainingMs / 1000));
    const pad = (value) => String(value).padStart(2, '0');
    const hours = Math.floor(total / 3600);
    const minutes = Math.floor(total / 60) % 60;
    return hours > 0 ? `${hours}:${pad(minutes)}:${pad(total % 60)}` : `${minutes}:${pad(total % 60)}`;
}

export function plural(count, one, many = `${one}s`) {
    return `${number(count)} ${count === 1 ? one : many}`;
}

/** `VIP, row 1, seat 5` */
export function seatName(seat) {
    if (seat.row === 0) return `${seat.section}, standing`;
    return `${seat.section}, row ${seat.row}, seat ${seat.number}`;
}
