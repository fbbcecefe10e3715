// The wait in words. Pure. An estimate is never more exact than it can be kept.

export function estimateInWords(seconds) {
    if (!Number.isFinite(seconds) || seconds < 0) return 'We cannot tell yet how long it will take';
    if (seconds < 45) return 'Less than a minute';
    const minutes = Math.round(seconds / 60);
    if (minutes <= 1) return 'About a minute';
    if (minutes < 20) return `About ${minutes} minutes`;
    const fives = Math.round(minutes / 5) * 5;
    if (fives < 60) return `About ${fives} minutes`;
    const hours = Math.floor(fives / 60);
    const rest = Math.round((fives % 60) / 15) * 15;
    const whole = rest === 60 ? hours + 1 : hours;
    const hourWords = whole === 1 ? 'an hour' : `${whole} hours`;
    return rest === 0 || rest === 60 ? `About ${hourWords}` : `About ${hourWords} and ${rest} minutes`;
}

/**
 * The wait as a range: `{low, high, measured}` in seconds. What nobody has measured is said to be what it is: the least
 * and the most that the rules allow. Falls back to the single number.
 */
export function rangeInWords(range, seconds) {
    if (!range || !Number.isFinite(range.low) || !Number.isFinite(range.high)) return estimateInWords(seconds);
    const low = estimateInWords(range.low);
    const high = estimateInWords(range.high);
    if (low === high) return low;
    const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);
    if (!range.measured) return `At most ${lower(high.replace(/^About /, ''))}`;
    const [least, most] = [Math.round(range.low / 60), Math.round(range.high / 60)];
    if (least < 1) return `At most ${lower(high.replace(/^About /, ''))}`;
    if (most < 20) return `${least} to ${most} minutes`;
    return `${low} to ${lower(high.replace(/^About /, ''))}`;
}

/** How much of the way is done, 0 to 1, from the place one started at. */
export function progressOf(start, position) {
    if (!(start >= 1) || !(position >= 1)) return 0;
    if (start <= 1) return position <= 1 ? 0.95 : 0;
    // The first in line is nearly, but not yet, in.
    return Math.min(0.95, Math.max(0.02, (start - position) / start));
}
