import HTTPTypes
import Hummingbird

/// Which methods an address takes, asked when a request found no route: 405 names them, 404 is for no address at all.
///
/// - Bounds: as many entries as there are routes; a look goes through all, which only a mistaken request costs.
final class KnownAddresses: Sendable {
    private let routes: [(path: [Substring], method: HTTPRequest.Method)]

    init(_ router: Router<GatewayContext>) {
        routes = router.routes.map { (Self.parts("\($0.path)"), $0.method) }
    }

    init(_ routes: [(path: String, method: HTTPRequest.Method)]) {
        self.routes = routes.map { (Self.parts($0.path), $0.method) }
    }

    /// In alphabetical order; empty for an address that nobody serves.
    func methods(of path: String) -> [String] {
        let asked = Self.parts(path)
        var methods: Set<String> = []
        for route in routes where Self.matches(route.path, asked) {
            methods.insert(route.method.rawValue)
            if route.method == .get { methods.insert("HEAD") }
        }
        return methods.sorted()
    }

    private static func parts(_ path: String) -> [Substring] {
        String(path.prefix { $0 != "?" }).split(separator: "/")
    }

    private static func matches(_ route: [Substring], _ asked: [Substring]) -> Bool {
        route.count == asked.count && zip(route, asked).allSatisfy { $0 == $1 || $0.hasPrefix("{") }
    }
}
