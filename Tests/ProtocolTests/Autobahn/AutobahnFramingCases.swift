extension AutobahnCase {
    /// 1: frames of every length class.
    static let framing: [AutobahnCase] = [0, 125, 126, 127, 128, 65_535, 65_536].enumerated().flatMap { index, size in
        let bytes = [UInt8](repeating: 0xFE, count: size)
        // The type's digit is part of the frame.
        let text = String(repeating: "*", count: max(0, size - 1))
        return [
            AutobahnCase("1.1.\(index + 1)", [Self.text(text)], [Self.echo(text)]),
            AutobahnCase("1.2.\(index + 1)", [Self.frame(0x82, bytes)], [.binary(bytes)]),
        ]
    }

    private static let binaryPing: [UInt8] = [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF]

    /// 2: pings and pongs.
    static let pings: [AutobahnCase] = [
        AutobahnCase("2.1", [Self.ping()], [Self.pong()]),
        AutobahnCase("2.2", [Self.ping("Hello, world!")], [Self.pong("Hello, world!")]),
        AutobahnCase("2.3", [Self.ping(Self.binaryPing)], [Self.pong(Self.binaryPing)]),
        AutobahnCase(
            "2.4 and 2.6",
            [Self.ping([UInt8](repeating: 0xFE, count: 125))],
            [Self.pong([UInt8](repeating: 0xFE, count: 125))]
        ),
        AutobahnCase("2.5", [Self.ping([UInt8](repeating: 0xFE, count: 126))], closes: 1002),
        AutobahnCase("2.7", [Self.frame(0x8A)]),
        AutobahnCase("2.8", [Self.frame(0x8A, Array("unsolicited".utf8))]),
        AutobahnCase("2.9", [Self.frame(0x8A, Array("unsolicited".utf8)), Self.ping("ping")], [Self.pong("ping")]),
        AutobahnCase(
            "2.10 and 2.11",
            (0..<10).map { Self.ping("payload-\($0)") },
            (0..<10).map { Self.pong("payload-\($0)") }
        ),
    ]

    /// 3: reserved bits, which mean nothing here.
    static let reservedBits: [AutobahnCase] = [
        AutobahnCase("3.1", [Self.frame(0xC1, [0x34])], closes: 1002),
        AutobahnCase(
            "3.2 to 3.4",
            [Self.text("Hello"), Self.frame(0xA1, [0x34]), Self.ping()],
            [Self.echo("Hello")],
            closes: 1002
        ),
        AutobahnCase("3.3", [Self.text("Hello"), Self.frame(0xB1, [0x34])], [Self.echo("Hello")], closes: 1002),
        AutobahnCase("3.4", [Self.text("Hello"), Self.frame(0xC1, [0x34])], [Self.echo("Hello")], closes: 1002),
        AutobahnCase("3.5", [Self.frame(0xD2, Self.binaryPing)], closes: 1002),
        AutobahnCase("3.6", [Self.frame(0xE9, Array("ping".utf8))], closes: 1002),
        AutobahnCase("3.7", [Self.frame(0xF8, [3, 0xE8])], closes: 1002),
    ]

    /// 4: opcodes that mean nothing.
    static let opcodes: [AutobahnCase] = ([3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8]).flatMap { opcode in
        [
            AutobahnCase("4, opcode \(opcode)", [Self.frame(0x80 | opcode)], closes: 1002),
            AutobahnCase("4, opcode \(opcode), payload", [Self.frame(0x80 | opcode, [0x34])], closes: 1002),
            AutobahnCase(
                "4, opcode \(opcode) after text",
                [Self.text("Hello"), Self.frame(0x80 | opcode, [0x34]), Self.ping()],
                [Self.echo("Hello")],
                closes: 1002
            ),
        ]
    }

    /// 5: fragmentation.
    static let fragmentation: [AutobahnCase] = [
        AutobahnCase("5.1", [Self.frame(0x09, [1]), Self.frame(0x80, [2])], closes: 1002),
        AutobahnCase("5.2", [Self.frame(0x0A, [1]), Self.frame(0x80, [2])], closes: 1002),
        AutobahnCase("5.3 to 5.5", [Self.begin("frag"), Self.end("ment")], [Self.echo("fragment")]),
        AutobahnCase(
            "5.6 to 5.8",
            [Self.begin("frag"), Self.ping("ping"), Self.end("ment")],
            [Self.pong("ping"), Self.echo("fragment")]
        ),
        AutobahnCase("5.9 to 5.11", [Self.end("nothing"), Self.text("Hello")], closes: 1002),
        AutobahnCase("5.12 to 5.14", [Self.more("nothing"), Self.text("Hello")], closes: 1002),
        AutobahnCase(
            "5.15",
            [Self.begin("frag"), Self.end("ment"), Self.more("nothing"), Self.text("Hello")],
            [Self.echo("fragment")],
            closes: 1002
        ),
        AutobahnCase("5.16", [Self.more("nothing"), Self.begin("frag"), Self.end("ment")], closes: 1002),
        AutobahnCase("5.17", [Self.end("nothing"), Self.begin("frag"), Self.end("ment")], closes: 1002),
        AutobahnCase("5.18", [Self.begin("frag"), Self.text("ment")], closes: 1002),
        AutobahnCase(
            "5.19 and 5.20",
            [
                Self.begin("fragment1"), Self.more("fragment2"), Self.ping("ping 1"), Self.more("fragment3"),
                Self.more("fragment4"), Self.ping("ping 2"), Self.end("fragment5"),
            ],
            [
                Self.pong("ping 1"), Self.pong("ping 2"),
                Self.echo("fragment1fragment2fragment3fragment4fragment5"),
            ]
        ),
        AutobahnCase(
            "empty fragments",
            [Self.begin(""), Self.more(""), Self.frame(0x80), Self.frame(0x02), Self.frame(0x00), Self.frame(0x80)],
            [Self.echo(""), .binary([])]
        ),
    ]

    /// Beyond the suite: what a frame's header may not say.
    static let headers: [AutobahnCase] = [
        AutobahnCase("unmasked", [[0x81, 0x01, 0x34]], closes: 1002),
        AutobahnCase("unmasked control", [[0x89, 0x00]], closes: 1002),
        AutobahnCase("126 for a short length", [[0x82, 0xFE, 0, 125, 0, 0, 0, 0]], closes: 1002),
        AutobahnCase("127 for a short length", [[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]], closes: 1002),
        AutobahnCase("a length of 2^63", [[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], closes: 1002),
        AutobahnCase("a length of 2^62", [[0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], closes: 1009),
        AutobahnCase("a long close frame", [[0x88, 0xFE, 0, 126, 0, 0, 0, 0]], closes: 1002),
        AutobahnCase("an empty Engine.IO packet", [Self.frame(0x81)], closes: 1007),
    ]

    /// 7: closing.
    static let closing: [AutobahnCase] =
        [
            AutobahnCase("7.1.1", [Self.text("Hello"), Self.close(1000)], [Self.echo("Hello")], closes: 1000),
            AutobahnCase("7.1.2", [Self.close(1000), Self.close(1000)], closes: 1000),
            AutobahnCase("7.1.3", [Self.close(1000), Self.ping()], closes: 1000),
            AutobahnCase("7.1.4", [Self.close(1000), Self.text("Hello")], closes: 1000),
            AutobahnCase("7.1.5", [Self.begin("frag"), Self.close(1000), Self.end("ment")], closes: 1000),
            AutobahnCase("7.3.1", [Self.frame(0x88)], closes: 1000),
            AutobahnCase("7.3.2", [Self.frame(0x88, [0x61])], closes: 1002),
            AutobahnCase("7.3.4", [Self.close(1000, Array("Hello World!".utf8))], closes: 1000),
            AutobahnCase("7.3.5", [Self.close(1000, [UInt8](repeating: 0x2A, count: 123))], closes: 1000),
            AutobahnCase("7.3.6", [Self.close(1000, [UInt8](repeating: 0x2A, count: 124))], closes: 1002),
            AutobahnCase("7.5.1", [Self.close(1000, [0xCE, 0xBA, 0xED, 0xA0, 0x80, 0x65])], closes: 1007),
        ]
        + [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map {
            AutobahnCase("7.7, \($0)", [Self.close($0)], closes: $0)
        }
        + [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map {
            AutobahnCase("7.9, \($0)", [Self.close($0)], closes: 1002)
        }
}
