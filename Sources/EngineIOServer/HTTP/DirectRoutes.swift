import EngineIO
import Foundation
package import NIOCore
package import NIOHTTP1

/// The answer to a request that took the direct way.
package struct DirectAnswer: Sendable {
    package var status: HTTPResponseStatus
    package var fields: [(name: String, value: String)]
    package var body: ByteBuffer

    package init(status: HTTPResponseStatus, fields: [(name: String, value: String)], body: ByteBuffer) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// GETs that a connection answers itself, past the HTTP server.
///
/// For addresses that are asked for again and again and whose answer takes one look-up: the tasks, streams and hops
/// between threads of the long way cost more than that. Only what is usual goes this way: a bearer token, no query, no
/// body, no `Origin`. Everything else is the HTTP server's, whose router has to know the same addresses.
package final class DirectRoutes: Sendable {
    /// Runs on the connection's event loop and must not keep it.
    package typealias Respond = @Sendable (HTTPRequestHead) async -> DirectAnswer

    private let routes: [String: Respond]
    /// One per event loop of the group; the group does not change.
    private let runners: [ObjectIdentifier: DirectRunner]

    /// - Parameter routes: by path.
    package init(_ routes: [String: Respond], eventLoopGroup: any EventLoopGroup) {
        self.routes = routes
        self.runners = Dictionary(
            uniqueKeysWithValues: eventLoopGroup.makeIterator().map { (ObjectIdentifier($0), DirectRunner($0)) }
        )
    }

    func route(for head: HTTPRequestHead) -> Respond? {
        guard head.method == .GET, let respond = self.routes[head.uri], head.headers.contains(name: "authorization"),
            !Self.unusual.contains(where: { head.headers.contains(name: $0) })
        else { return nil }
        return respond
    }

    private static let unusual = ["origin", "content-length", "transfer-encoding", "expect", "upgrade"]

    /// On the exchange's loop.
    func begin(_ exchange: HTTPExchange, _ respond: @escaping Respond, on eventLoop: any EventLoop) {
        guard let runner = self.runners[ObjectIdentifier(eventLoop)] else {
            return exchange.answer(.empty(.serviceUnavailable))
        }
        runner.answer(exchange, respond)
    }
}

/// Keeps the work of direct routes on one event loop.
///
/// Touched on its loop only, which is what makes it Sendable.
private final class DirectRunner: @unchecked Sendable {
    private let executor: LoopTaskExecutor
    private var date: (second: Int64, text: String) = (0, "")

    init(_ eventLoop: any EventLoop) { self.executor = LoopTaskExecutor(eventLoop) }

    func answer(_ exchange: HTTPExchange, _ respond: @escaping DirectRoutes.Respond) {
        // Nobody has to await it: the exchange takes the answer, or drops it if its connection has ended meanwhile.
        Task.immediate(executorPreference: self.executor) {
            let answer = await respond(exchange.head)
            let fields = answer.fields + [("Date", self.today())]
            exchange.answer(HTTPAnswer(status: answer.status, body: answer.body, fields: fields))
        }
    }

    /// As RFC 9110 wants it, made once a second.
    private func today() -> String {
        let now = Date.now
        let second = Int64(now.timeIntervalSince1970)
        if second != self.date.second { self.date = (second, HTTPDate.text(now)) }
        return self.date.text
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// - Source: RFC 9110, section 5.6.7.
enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    static func text(_ date: Date) -> String {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let now = calendar.dateComponents([.weekday, .day, .month, .year, .hour, .minute, .second], from: date)
        func two(_ number: Int?) -> String { (number ?? 0) < 10 ? "0\(number ?? 0)" : "\(number ?? 0)" }
        let day = "\(self.days[(now.weekday ?? 1) - 1]), \(two(now.day)) \(self.months[(now.month ?? 1) - 1])"
        return "\(day) \(now.year ?? 0) \(two(now.hour)):\(two(now.minute)):\(two(now.second)) GMT"
    }
}
