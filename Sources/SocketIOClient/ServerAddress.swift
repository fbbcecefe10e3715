/// Where a Socket.IO server listens, read from a URL.
///
/// - Shape: `http`, `https`, `ws` or `wss`, a host, an optional port, an optional path, which is the endpoint's;
///   `/socket.io/` if there is none.
package struct ServerAddress: Sendable, Equatable {
    package let host: String
    package let port: Int
    package let isSecure: Bool
    package let path: String

    package init(host: String, port: Int, isSecure: Bool = false, path: String = "/socket.io/") {
        self.host = host
        self.port = port
        self.isSecure = isSecure
        self.path = path
    }

    /// `nil` for anything else than the shape above.
    package init?(_ url: String) {
        guard let mark = url.firstRange(of: "://") else { return nil }
        switch url[..<mark.lowerBound].lowercased() {
        case "http", "ws": self.isSecure = false
        case "https", "wss": self.isSecure = true
        default: return nil
        }
        let rest = url[mark.upperBound...]
        guard !rest.contains(where: { $0 == "@" || $0 == "?" || $0 == "#" || $0.isWhitespace }) else { return nil }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let path = rest[slash...]
        self.path = path.isEmpty || path == "/" ? "/socket.io/" : path.last == "/" ? String(path) : path + "/"
        var authority = rest[..<slash]
        var port: Int?
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(number) else {
                return nil
            }
            port = number
            authority = authority[..<colon]
        }
        if authority.first == "[", authority.last == "]" { authority = authority.dropFirst().dropLast() }
        guard !authority.isEmpty else { return nil }
        self.host = String(authority)
        self.port = port ?? (self.isSecure ? 443 : 80)
    }

    /// The value of the `Host` field.
    var hostField: String {
        let name = self.host.contains(":") ? "[\(self.host)]" : self.host
        return self.port == (self.isSecure ? 443 : 80) ? name : "\(name):\(self.port)"
    }
}
