import Sessions

extension HistoryEntry {
    /// What an administrator did to the event, or an operator by a command.
    static let rulings = [
        "operator.event.status", "operator.event.rebuilt",
        "admin.event.status", "admin.event.changed", "admin.queue.changed", "admin.queue.cleared",
        "admin.seats.blocked", "admin.seats.unblocked",
    ]
    /// What began and ended a person's sessions, or changed what they may do. A sign-in may end another session of theirs.
    static let sessions = [
        "sign-in", "sign-in.refused", "sign-out", "sign-out.all", "session.ended", "refresh-token-reused",
        "admin.session.ended", "admin.sessions.ended", "admin.account.changed",
    ]

    init(_ entry: AuditEntry) {
        let reason =
            switch entry.action {
            case "admin.event.status": "An administrator made the event \(entry.facts["status"] ?? "another status")."
            case "operator.event.status": "An operator made the event \(entry.facts["status"] ?? "another status")."
            case "operator.event.rebuilt": "An operator had the event's state rebuilt; holds ended."
            case "admin.event.changed": "An administrator changed the event."
            case "admin.queue.changed" where entry.facts["paused"] == "true": "An administrator paused the queue."
            case "admin.queue.changed" where entry.facts["paused"] == "false": "An administrator let the queue go on."
            case "admin.queue.changed": "An administrator changed the queue's rules."
            case "admin.queue.cleared": "An administrator cleared the queue."
            case "admin.seats.blocked": "An administrator took seats off sale."
            case "admin.seats.unblocked": "An administrator put seats on sale again."
            case "admin.session.ended": "An administrator ended a session of the person."
            case "admin.sessions.ended": "An administrator ended all sessions of the person."
            case "admin.account.changed": "An administrator changed the account."
            case "sign-in": "The person signed in."
            case "sign-in.refused": "Signing in was refused: \(entry.facts["reason"] ?? "the reason is not known")."
            case "refresh-token-reused": "A refresh token was used again: its session was ended."
            case "session.ended": "The person ended another session of theirs."
            case "sign-out.all": "The person signed out everywhere."
            default: "The person signed out."
            }
        let facts = entry.facts.filter { $0.key != "event" }
        self.init(at: entry.at, type: entry.action, reason: reason, by: entry.actor, facts: facts)
    }
}
