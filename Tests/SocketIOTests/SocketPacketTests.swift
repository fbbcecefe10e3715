import EngineIO
import NIOCore
import Testing

@testable import SocketIO

@Suite struct SocketPacketTests {
    private func packet(_ text: String) throws(PacketError) -> SocketPacket {
        try SocketPacket(ByteBuffer(string: text))
    }

    @Test("An event has namespace, id, name and arguments as the bytes they came as")
    func event() throws {
        let packet = try self.packet(#"2/admin,12["hey", 1.0 ,true,{"a":[ ]}]"#)
        #expect(packet.type == .event)
        #expect(packet.namespace == "/admin")
        #expect(packet.id == 12)
        #expect(packet.name == "hey")
        #expect(packet.elements.dropFirst().map { String(buffer: packet.slice($0)) } == ["1.0", "true", #"{"a":[ ]}"#])
    }

    @Test("A namespace with nothing behind it may come without its comma")
    func bareNamespace() throws {
        #expect(try self.packet("0/custom").namespace == "/custom")
        #expect(try self.packet(#"0/custom,{"a":1}"#).data != nil)
    }

    @Test(
        "What the protocol forbids is refused",
        arguments: [
            "", "7", "x", "2", "2{}", "2[]", "2[1", "2[null]", "2[true]", "2[{}]", #"2["connect"]"#,
            #"2["disconnecting"]"#, #"2["a"]x"#, "0[]", "1{}",
            "3", "3{}", "4{}", #"5["a"]"#, #"511-["a"]"#, #"5-["a"]"#, #"51["a"]"#,
            #"51-["a",{"_placeholder":true,"num":1}]"#,
            #"51-["a",{"_placeholder":true,"num":-1}]"#, #"51-["a",{"_placeholder":true}]"#,
            #"299999999999999999999["a"]"#,
        ]
    )
    func invalid(text: String) {
        #expect(throws: PacketError.self) { try self.packet(text) }
    }

    @Test("A packet cut at any byte is refused and never trapped on")
    func truncation() {
        let text = Array(#"51-/n,7["a\n",{"_placeholder":true,"num":0},1]"#.utf8)
        for length in 0..<text.count {
            #expect(throws: PacketError.self) { try SocketPacket(ByteBuffer(bytes: text[..<length])) }
        }
    }

    @Test("Arguments with attachments get the numbers of the packet they become part of")
    func attachments() {
        let first = RawJSON(binary: ByteBuffer(bytes: [1]))
        let second = RawJSON(
            bytes: ByteBuffer(string: #"[{"num":0,"_placeholder":true},2]"#),
            attachments: [ByteBuffer(bytes: [2])]
        )
        let packet = EncodedPacket.event("/", "e", [first, second])
        #expect(
            String(buffer: packet.text.payload)
                == #"452-["e",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1},2]]"#
        )
        #expect(packet.attachments.map(\.payload) == [ByteBuffer(bytes: [1]), ByteBuffer(bytes: [2])])
    }

    @Test("A message between nodes comes back as it was, and cut anywhere it is refused")
    func clusterMessage() {
        let packet = EncodedPacket.event("/n", "e", [RawJSON(trusted: "1"), RawJSON(binary: ByteBuffer(bytes: [1]))])
        let value = RawJSON(binary: ByteBuffer(bytes: [1, 2]))
        let socket = SocketDescription(id: "i", rooms: ["r"], remoteAddress: "::1", isSecure: true, data: value)
        for operation in [
            ClusterMessage.Operation.broadcast(packet, isVolatile: true), .join(["x"]), .leave(["y", "z"]),
            .disconnect(close: true), .serverSide("e", [value, .null]), .missed,
            .ask(id: 7, .counts(["a", ""])), .ask(id: 7, .sockets), .ask(id: 7, .emit(packet, timeoutMs: 5)),
            .ask(id: 7, .serverSide("e", [value])), .answer(id: 7, .nothing, isLast: true),
            .answer(id: 7, .counts([1, 2]), isLast: false),
            .answer(id: 7, .sockets([socket], leftOut: 3), isLast: true),
            .answer(id: 7, .acks([value, .null], silent: 1), isLast: true),
            .answer(id: 7, .serverSide(value), isLast: true),
        ] {
            let message = ClusterMessage(
                node: "me",
                namespace: "/n",
                rooms: ["a"],
                except: ["b", "c"],
                operation: operation
            )
            let bytes = message.encode()
            #expect(ClusterMessage(decoding: bytes) == message)
            for length in 0..<bytes.readableBytes {
                #expect(bytes.getSlice(at: 0, length: length).flatMap { ClusterMessage(decoding: $0) } == nil)
            }
        }
    }

    @Test("A message between nodes that claims more than it holds is refused before anything is made of it")
    func hugeCounts() {
        var bytes = ByteBuffer(bytes: [2])
        bytes.writeInteger(UInt32.max)
        #expect(ClusterMessage(decoding: bytes) == nil)
        bytes = ByteBuffer(bytes: [2, 0, 0, 0, 1, 0x6E, 0, 0, 0, 1, 0x2F])
        bytes.writeInteger(UInt32.max)
        bytes.writeRepeatingByte(0, count: 64)
        #expect(ClusterMessage(decoding: bytes) == nil)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let length = Int.random(in: 0..<80, using: &generator)
            let noise = [2] + (0..<length).map { _ in UInt8.random(in: 0...8, using: &generator) & 3 }
            _ = ClusterMessage(decoding: ByteBuffer(bytes: noise))
        }
    }

    @Test("Beside binary arguments a client's own placeholder means nothing; one within another goes with it")
    func forgedPlaceholders() {
        let binary = RawJSON(binary: ByteBuffer(bytes: [1]))
        let forged = RawJSON(trusted: #"{"a":{"_placeholder":true,"num":0}}"#)
        let nested = RawJSON(
            bytes: ByteBuffer(string: #"{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}}"#),
            attachments: [ByteBuffer(bytes: [2])]
        )
        let packet = EncodedPacket.event("/", "e", [forged, binary, nested])
        #expect(
            String(buffer: packet.text.payload)
                == #"452-["e",{"a":null},{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
        )
        #expect(packet.attachments.map(\.payload) == [ByteBuffer(bytes: [1]), ByteBuffer(bytes: [2])])
    }

    @Test(
        "A placeholder stands for one attachment of its own, however it is written",
        arguments: [
            #"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
            #"51-["a",{"_placeholder":true,"num":0},{"\u005fplaceholder":true,"num":7}]"#,
            #"51-["a",{"_placeholder":true,"\u006eum":1}]"#, #"51-["a",{"_placeholder":true,"num":-1}]"#,
            #"51-["a",{"_placeholder":true,"num":9223372036854775808}]"#, #"51-["a",{"_placeholder":true}]"#,
        ]
    )
    func placeholders(text: String) {
        #expect(throws: PacketError.self) { try self.packet(text) }
    }
}
