import NIOCore
import SocketIO

/// The handlers, the same in each namespace.
struct FixtureApplication {
    let io: SocketIOServer
    let profile: Fixture.Profile

    private struct Credentials: Decodable { var token: String? }

    func install(jwtSecret: String?) {
        let main = self.io.of("/")
        if let jwtSecret {
            let tokens = TokenCheck(secret: jwtSecret)
            main.use(inline: { socket in
                guard tokens.accepts(socket.handshake.auth) else {
                    throw ConnectError(message: "Invalid authentication token")
                }
            })
        }
        let denied = self.io.of("/denied")
        denied.use(inline: { socket in
            guard (try? socket.handshake.auth.decode(Credentials.self).token) == "letmein" else {
                throw ConnectError(message: "Not authorized", data: RawJSON(trusted: #"{"code":"E_DENIED"}"#))
            }
        })
        let dynamic = self.io.of(/\/dynamic-[0-9]+/)
        for namespace in [main, self.io.of("/custom"), denied, dynamic] { self.install(on: namespace) }
    }

    private func install(on namespace: Namespace) {
        self.greet(on: namespace)
        namespace.on(
            "message",
            inline: { socket, event in
                socket.emit("message-back", arguments: event.arguments)
            }
        )
        namespace.on("message-with-ack", inline: { _, event in event.ack.send(event.arguments) })
        namespace.on(
            "ask-me",
            inline: { socket, event in
                socket.emit("question", arguments: event.arguments, timeout: nil) { answer in
                    if case .success(let answer) = answer { socket.emit("answer", arguments: answer.arguments) }
                }
            }
        )
        namespace.on(
            "burst",
            inline: { socket, event in
                let count = min((try? event.decode(Int.self)) ?? 0, 100_000)
                for index in 0..<max(0, count) { socket.emit("burst-item", index) }
            }
        )
        namespace.on("kick", inline: { socket, _ in socket.disconnect() })
        namespace.on("kick-close", inline: { socket, _ in socket.disconnect(close: true) })
        namespace.onDisconnect(inline: { socket, reason in
            socket.to("observers").emit("peer-disconnected", socket.id, reason.rawValue)
        })
        self.installRooms(on: namespace)
        self.installState(on: namespace)
        if self.profile == .bench {
            namespace.on("seat", inline: { _, event in event.ack.send([RawJSON(trusted: #"{"ok":true}"#)]) })
        }
    }

    /// Emits `auth`, apart from the answer to CONNECT that precedes it.
    ///
    /// The official suites wait for one message and then begin to wait for the next. Two that arrive in one read are
    /// one too many for them, with the releases of `ws` that hand both over within one turn of Node's event loop.
    /// Events that come meanwhile keep their turn: they wait behind this handler.
    private func greet(on namespace: Namespace) {
        guard self.profile != .bench else {
            return namespace.onConnection(inline: { socket in
                socket.emit("auth", arguments: [socket.handshake.auth])
            })
        }
        namespace.onConnection { socket in
            try? await Task.sleep(for: .milliseconds(3))
            socket.emit("auth", arguments: [socket.handshake.auth])
        }
    }

    private func installRooms(on namespace: Namespace) {
        namespace.on("join") { socket, event in
            if let room = try? event.decode(String.self) { await socket.join(room) }
            event.ack()
        }
        namespace.on("leave") { socket, event in
            if let room = try? event.decode(String.self) { await socket.leave(room) }
            event.ack()
        }
        namespace.on(
            "room-emit",
            inline: { socket, event in
                guard let room = try? event.decode(String.self) else { return }
                socket.namespace.to(room).emit("room-message", arguments: Array(event.arguments.dropFirst()))
            }
        )
        namespace.on(
            "room-broadcast",
            inline: { socket, event in
                guard let room = try? event.decode(String.self) else { return }
                socket.to(room).emit("room-message", arguments: Array(event.arguments.dropFirst()))
            }
        )
    }

    private func installState(on namespace: Namespace) {
        namespace.on(
            "whoami",
            inline: { socket, event in
                let rooms = socket.roomsOnLoop.subtracting([socket.id]).sorted()
                var answer = ByteBuffer(string: #"{"sid":"\#(socket.id)","recovered":\#(socket.recovered),"rooms":"#)
                answer.writeImmutableBuffer((try? RawJSON(encoding: rooms))?.bytes ?? ByteBuffer(string: "[]"))
                let value = socket.data(as: RawJSON.self)
                if let value {
                    answer.writeStaticString(#","data":{"value":"#)
                    answer.writeImmutableBuffer(value.bytes)
                    answer.writeStaticString("}}")
                } else {
                    answer.writeStaticString(#","data":{}}"#)
                }
                event.ack.send([RawJSON(trusted: answer, attachments: value?.attachments ?? [])])
            }
        )
        namespace.on("set-data") { socket, event in
            // Without a value it is undefined, which JSON leaves out.
            await socket.setData(event.count > 0 ? event[0] : nil)
            event.ack()
        }
    }
}
