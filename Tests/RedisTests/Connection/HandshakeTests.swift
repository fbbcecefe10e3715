import Testing

@testable import Redis

struct HandshakeTests {
    private func play(_ url: String, _ replies: [RESPValue]) throws -> String {
        var handshake = Handshake(try RedisConfiguration(url: url))
        var last = "waiting"
        for reply in replies {
            switch handshake.receive(reply) {
            case .waiting: last = "waiting"
            case .done: last = "done"
            case .failed(let error): return "\(error.code)"
            }
        }
        return last
    }

    @Test("Sign-in, database and name go ahead of the first PING")
    func commands() throws {
        let handshake = Handshake(try RedisConfiguration(url: "redis://al:pw@h/2"))
        #expect(
            handshake.commands == [
                RedisCommand("AUTH", "al", "pw"), RedisCommand("SELECT", "2"),
                RedisCommand("CLIENT", "SETNAME", "holdfast"), RedisCommand("PING"),
            ]
        )
    }

    @Test("Each refusal is told apart: password, missing password, loading, database")
    func refusals() throws {
        let ok = RESPValue.simpleString("OK")
        #expect(try play("redis://h", [ok, .simpleString("PONG")]) == "done")
        #expect(try play("redis://h", [.error("NOPERM no"), .error("NOPERM no")]) == "done")
        #expect(try play("redis://:p@h", [.error("WRONGPASS bad")]) == "authentication")
        #expect(
            try play("redis://h", [.error("NOAUTH"), .error("NOAUTH Authentication required")]) == "authentication"
        )
        #expect(try play("redis://h", [ok, .error("LOADING data")]) == "connection")
        #expect(try play("redis://h/99", [.error("ERR DB index is out of range")]) == "authentication")
    }

    @Test("A server says what it is: a replica is refused where only a primary will do, and its history is noted")
    func replication() throws {
        func play(_ purpose: Handshake.Purpose, _ info: RESPValue) throws -> String {
            var handshake = Handshake(try RedisConfiguration(url: "redis://h"), for: purpose)
            _ = handshake.receive(.simpleString("OK"))
            if case .failed(let error) = handshake.receive(info) { return "\(error.code)" }
            guard case .done(let id) = handshake.receive(.simpleString("PONG")) else { return "waiting" }
            return id ?? "unknown"
        }
        let primary = RESPValue.simpleString("# Replication\r\nrole:master\r\nmaster_replid:abc\r\nx:0\r\n")
        let replica = RESPValue.simpleString("role:slave\r\nmaster_replid:abc\r\n")
        #expect(try play(.primary, primary) == "abc")
        #expect(try play(.primary, replica) == "connection")
        #expect(try play(.primary, .error("NOPERM no")) == "authentication")
        #expect(try play(.serving, replica) == "abc")
        #expect(try play(.serving, .error("NOPERM no")) == "unknown")
        #expect(try play(.serving, .simpleString("nothing")) == "unknown")
    }

    @Test("Pauses double up to the bound, are spread by chance, and start anew after a success")
    func backoff() {
        var backoff = Backoff(.milliseconds(50) ... .seconds(1))
        #expect(
            (0..<7).map { _ in backoff.fail(chance: 1) }
                == [50, 100, 200, 400, 800, 1000, 1000].map { .milliseconds($0) }
        )
        backoff.succeed()
        #expect(backoff.fail(chance: 0) == .milliseconds(25))
    }
}
