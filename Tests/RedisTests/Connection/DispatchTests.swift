import NIOCore
import Testing

@testable import Redis

private func at(_ milliseconds: Int64) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
}

struct DispatchTests {
    private var dispatch = Dispatch<String, String>(slots: 2, maxInFlight: 4, maxWaiting: 2)

    private mutating func submit(_ request: String, _ count: Int = 1, deadline: Int64 = 2000) -> String {
        switch dispatch.submit(request, count: count, deadline: at(deadline), hasEnded: { $0.hasPrefix("ended") }) {
        case .assign(let connection): connection
        case .wait: "wait"
        case .overloaded: "overloaded"
        case .refuse(let error): "\(error.code)"
        }
    }

    private mutating func connect(_ slot: Int, _ name: String) -> [String] {
        dispatch.connected(slot, name) { $0.hasPrefix("ended") }.map { "\($0.0)>\($0.1)" }
    }

    @Test("Requests wait for the first connection and then leave in order")
    mutating func waits() {
        #expect(submit("a") == "wait")
        #expect(submit("b") == "wait")
        #expect(connect(0, "x") == ["a>x", "b>x"])
        #expect(dispatch.inFlightCount == 2)
    }

    @Test("The least loaded connection takes a request, equals take turns")
    mutating func balance() {
        _ = connect(0, "x")
        _ = connect(1, "y")
        #expect(submit("a") == "x")
        #expect(submit("b") == "y")
        #expect(submit("c", 2) == "x")
        #expect(submit("d") == "y")
        #expect(submit("e") == "y")
    }

    @Test("A full connection takes nothing; room that comes free goes to the first in line")
    mutating func full() {
        _ = connect(0, "x")
        #expect(submit("a", 3) == "x")
        #expect(submit("long", 4) == "wait")
        #expect(submit("short") == "wait", "a newcomer does not overtake")
        #expect(dispatch.release(0, 2) { _ in false }.isEmpty)
        #expect(dispatch.release(0, 1) { _ in false }.map(\.0) == ["long"])
        #expect(dispatch.release(0, 4) { _ in false }.map(\.0) == ["short"])
    }

    @Test("Past the bound of the line a request is refused at once, unless those ahead have given up")
    mutating func bound() {
        #expect(submit("a") == "wait")
        #expect(submit("ended") == "wait")
        #expect(submit("c") == "wait")
        #expect(submit("d") == "overloaded")
        #expect(connect(0, "x") == ["a>x", "c>x"])
    }

    @Test("Those whose deadline passes leave the line; the next deadline is known")
    mutating func deadlines() {
        _ = submit("a", deadline: 100)
        _ = submit("b", deadline: 300)
        let (overdue, next) = dispatch.expire(now: at(100))
        #expect(overdue == ["a"])
        #expect(next == at(300))
        #expect(dispatch.expire(now: at(300)).next == nil)
    }

    @Test("A lost connection's load is forgotten and it takes nothing")
    mutating func lost() {
        _ = connect(0, "x")
        #expect(submit("a", 4) == "x")
        dispatch.lost(0)
        #expect(dispatch.inFlightCount == 0)
        #expect(submit("b") == "wait")
        #expect(connect(0, "z") == ["b>z"])
    }

    @Test("A refused password is told to all at once until a connection succeeds; an unreachable server is not")
    mutating func refusedPassword() {
        #expect(submit("a") == "wait")
        #expect(dispatch.failed(RedisError(.connection, "unreachable")).isEmpty)
        #expect(dispatch.failed(RedisError(.authentication, "refused")) == ["a"])
        #expect(submit("b") == "authentication")
        #expect(connect(0, "x") == [])
        #expect(submit("c") == "x")
    }

    @Test("After shutdown everything is refused")
    mutating func shutDown() {
        _ = connect(0, "x")
        _ = submit("a", 4)
        _ = submit("b")
        let (waiting, connections) = dispatch.shutDown()
        #expect(waiting == ["b"])
        #expect(connections == ["x"])
        #expect(submit("c") == "shutDown")
    }
}
