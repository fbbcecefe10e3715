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
        for operation in [
            ClusterMessage.Operation.broadcast(packet, isVolatile: true), .join(["x"]), .leave(["y", "z"]),
            .disconnect(close: true),
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
