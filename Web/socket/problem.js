/** A refused or unanswered event. `code` is the server's, or NOT_CONNECTED, TIMEOUT. */
export class SocketProblem extends Error {
    constructor(code, message, body = {}) {
        super(message);
        this.name = 'SocketProblem';
        Object.assign(this, { code, body });
    }
}
