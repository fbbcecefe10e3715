import NIOCore

/// What arrives on a connection that subscribes.
enum PubSubMessage: Equatable {
    case subscribed(String)
    case unsubscribed(String)
    case message(channel: String, ByteBuffer)
    case pong
    case refused(RedisServerError)

    /// nil for a reply that has no place on such a connection.
    init?(_ reply: RESPValue) {
        switch reply {
        case .simpleString("PONG"):
            self = .pong
        case .error(let text):
            self = .refused(RedisServerError(text))
        case .array(let parts):
            guard parts.count >= 2, let kind = parts[0].string else { return nil }
            switch kind {
            case "message", "smessage":
                guard parts.count == 3, let channel = parts[1].string, let body = parts[2].buffer else { return nil }
                self = .message(channel: channel, body)
            case "subscribe", "ssubscribe":
                guard let channel = parts[1].string else { return nil }
                self = .subscribed(channel)
            case "unsubscribe", "sunsubscribe":
                self = .unsubscribed(parts[1].string ?? "")
            case "pong":
                self = .pong
            default:
                return nil
            }
        case .null, .integer, .simpleString, .bulk:
            return nil
        }
    }
}
