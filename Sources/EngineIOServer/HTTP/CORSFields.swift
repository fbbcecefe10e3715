import EngineIO

extension EngineCORS {
    /// How long a browser may keep the answer to its preflight.
    private static let maxAgeSeconds = 600

    /// The fields of an answer, errors included: without them a browser shows an error of its own instead of ours.
    func fields(origin: String?, host: String?) -> [(name: String, value: String)] {
        switch self {
        case .sameOrigin:
            return []
        case .any:
            return [("Access-Control-Allow-Origin", "*")]
        case .origins(let credentials, let allows):
            guard let origin, allows(origin, host) else { return [("Vary", "Origin")] }
            var fields = [(name: "Access-Control-Allow-Origin", value: origin), ("Vary", "Origin")]
            if credentials { fields.append(("Access-Control-Allow-Credentials", "true")) }
            return fields
        }
    }

    /// What a preflight is answered beside ``fields(origin:host:)``: our methods, and whatever fields it asks for,
    /// because we read none of them.
    static func preflightFields(asksFor fields: String?, isAllowed: Bool) -> [(name: String, value: String)] {
        guard isAllowed else { return [] }
        var answer = [
            (name: "Access-Control-Allow-Methods", value: "GET, POST, OPTIONS"),
            ("Access-Control-Max-Age", "\(Self.maxAgeSeconds)"),
        ]
        if let fields { answer.append(("Access-Control-Allow-Headers", fields)) }
        return answer
    }
}
