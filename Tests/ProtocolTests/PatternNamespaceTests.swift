import NIOCore
import SocketIO
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(20))) struct PatternNamespaceTests {
    /// Remembers which namespaces and rooms are open; ``changes`` ends a wait.
    private final class Recorder: SocketAdapter {
        private let log = Mutex<Set<String>>([])
        let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

        var open: Set<String> { self.log.withLock { $0 } }

        private func set(_ name: String, _ isOpen: Bool) {
            self.log.withLock { if isOpen { $0.insert(name) } else { $0.remove(name) } }
            self.change.yield()
        }

        func become(_ names: Set<String>) async {
            for await _ in self.changes where self.open == names { return }
        }

        func attached(to server: SocketIOServer) {}
        func opened(namespace: String) { self.set(namespace, true) }
        func closed(namespace: String) { self.set(namespace, false) }
        func opened(_ room: String, namespace: String) { self.set("\(namespace)#\(room)", true) }
        func closed(_ room: String, namespace: String) { self.set("\(namespace)#\(room)", false) }
        func ready(_ room: String, namespace: String) async {}
        func readyForAnswers() async {}
        func publish(_ message: ClusterMessage) {}
        func ask(_ message: ClusterMessage, received: @escaping @Sendable (Int?) -> Void) { received(1) }
        func answer(_ message: ClusterMessage, to node: String) {}
    }

    @Test("A pattern's middleware runs and its handlers answer in each of its namespaces, whose rooms are their own")
    func children() async throws {
        try await TestServer.with({ io in
            let tenants = io.of(/\/tenant-(\d+)/)
            tenants.use(inline: { socket in
                if socket.namespace.name == "/tenant-13" { throw ConnectError(message: "No luck") }
            })
            tenants.use { socket in socket.data = socket.namespace.name }
            tenants.on("where", inline: { socket, event in event.ack(socket.data(as: String.self) ?? "") })
            tenants.onConnection(inline: { socket in socket.joinInline("r") })
            tenants.on("say", inline: { socket, event in socket.namespace.to("r").emit("said", event[0]) })
        }) { server in
            try await RawClient.open(server.port) { client in
                for tenant in [1, 2] {
                    try await client.send(text: "40/tenant-\(tenant)")
                    #expect(try await client.text()?.hasPrefix(#"40/tenant-\#(tenant),{"sid":""#) == true)
                    try await client.send(text: #"42/tenant-\#(tenant),5["where"]"#)
                    #expect(try await client.text() == #"43/tenant-\#(tenant),5["/tenant-\#(tenant)"]"#)
                }
                try await client.send(text: "40/tenant-13")
                #expect(try await client.text() == #"44/tenant-13,{"message":"No luck"}"#)
                for name in ["/tenant-", "/tenant-1x", "/x/tenant-1"] {
                    try await client.send(text: "40\(name)")
                    #expect(try await client.text() == #"44\#(name),{"message":"Invalid namespace"}"#)
                }
                try await client.send(text: #"42/tenant-2,["say",2]"#)
                #expect(try await client.text() == #"42/tenant-2,["said",2]"#)
                server.io.of("/tenant-1").to("r").emit("said", 1)
                #expect(try await client.text() == #"42/tenant-1,["said",1]"#)
            }
        }
    }

    @Test("Of several patterns the first registered counts, and a namespace of its own before any of them")
    func order() async throws {
        try await TestServer.with({ io in
            io.of(matching: { $0.hasPrefix("/a") }).onConnection(inline: { $0.emit("by", "first") })
            io.of(/\/a.*|\/b.*/).onConnection(inline: { $0.emit("by", "second") })
        }) { server in
            server.io.of("/only").onConnection(inline: { $0.emit("by", "name") })
            try await RawClient.open(server.port) { client in
                for (name, by) in [("/abc", "first"), ("/b", "second"), ("/only", "name")] {
                    try await client.send(text: "40\(name)")
                    _ = try await client.text()
                    #expect(try await client.text() == #"42\#(name),["by","\#(by)"]"#)
                }
            }
        }
    }

    @Test("A pattern's namespace without sockets is gone, its subscriptions too; the next socket finds it made anew")
    func removal() async throws {
        let recorder = Recorder()
        try await TestServer.with(
            adapter: recorder,
            { io in
                _ = io.of("/")
                io.of(/\/d-\d+/).onConnection(inline: { $0.joinInline("r") })
                io.of(/\/refusing-\d+/).use { _ in throw ConnectError(message: "no") }
            }
        ) { server in
            for _ in 0..<3 {
                try await RawClient.open(server.port) { one in
                    try await RawClient.open(server.port) { two in
                        for client in [one, two] {
                            try await client.send(text: "40/d-1")
                            #expect(try await client.text()?.hasPrefix("40/d-1,") == true)
                        }
                        try await one.send(text: "40/refusing-1")
                        #expect(try await one.text()?.hasPrefix("44/refusing-1,") == true)
                        try await one.send(text: "41/d-1,")
                        #expect(recorder.open.isSuperset(of: ["/", "/d-1", "/d-1#r"]))
                        server.io.of("/d-1").emit("still", 1)
                        #expect(try await two.text() == #"42/d-1,["still",1]"#)
                    }
                }
                await recorder.become(["/"])
            }
        }
    }

    @Test("Handlers given late are called from the next event on")
    func lateHandlers() async throws {
        try await TestServer.with({ io in _ = io.of(/\/late-\d/) }) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: "40/late-1")
                _ = try await client.text()
                let namespace = server.io.of("/late-1")
                namespace.on("x", inline: { _, event in event.ack(1) })
                await namespace.forEachLocalSocket { _ in }
                try await client.send(text: #"42/late-1,1["x"]"#)
                #expect(try await client.text() == "43/late-1,1[1]")
            }
        }
    }
}
