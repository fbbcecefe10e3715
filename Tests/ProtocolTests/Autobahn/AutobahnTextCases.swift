extension AutobahnCase {
    private static func valid(_ id: String, _ texts: [[UInt8]]) -> [AutobahnCase] {
        texts.enumerated().map { index, bytes in
            AutobahnCase(
                "\(id).\(index + 1)",
                [Self.frame(0x81, [0x34] + bytes)],
                [.text("4" + String(decoding: bytes, as: UTF8.self))]
            )
        }
    }

    /// Whole, and cut into fragments of one byte.
    private static func invalid(_ id: String, _ texts: [[UInt8]]) -> [AutobahnCase] {
        texts.enumerated().flatMap { index, bytes in
            let parts = bytes.map { Self.frame(0x00, [$0]) }
            return [
                AutobahnCase("\(id).\(index + 1)", [Self.frame(0x81, [0x34] + bytes)], closes: 1007),
                AutobahnCase(
                    "\(id).\(index + 1) in fragments",
                    [Self.begin("")] + parts + [Self.frame(0x80)],
                    closes: 1007
                ),
            ]
        }
    }

    private static let greeting = "Hello-µ@ßöäüàá-UTF-8!!"
    private static let kosme = Array("κόσμε".utf8)
    /// The Greek word, a surrogate, and "edited": 6.3.
    private static let broken = Self.kosme + [0xED, 0xA0, 0x80] + Array("edited".utf8)

    /// 6.1 to 6.4: empty text, fragments within characters, and failing before the message is complete.
    static let textInFragments: [AutobahnCase] = {
        let bytes = Array(Self.greeting.utf8)
        var cases = [
            AutobahnCase("6.1.1", [Self.text("")], [Self.echo("")]),
            AutobahnCase("6.1.2", [Self.begin(""), Self.more(""), Self.end("")], [Self.echo("")]),
            AutobahnCase("6.1.3", [Self.begin(""), Self.more("middle"), Self.end("")], [Self.echo("middle")]),
            AutobahnCase("6.2.1", [Self.text(Self.greeting)], [Self.echo(Self.greeting)]),
            AutobahnCase(
                "6.2.3",
                [Self.begin("")] + bytes.map { Self.frame(0x00, [$0]) } + [Self.frame(0x80)],
                [Self.echo(Self.greeting)]
            ),
            AutobahnCase("6.3.1", [Self.frame(0x81, [0x34] + Self.broken)], closes: 1007),
            AutobahnCase("6.3.2", [Self.begin("")] + Self.broken.map { Self.frame(0x00, [$0]) }, closes: 1007),
            // The message is never finished: the answer must not wait for its end.
            AutobahnCase(
                "6.4.1",
                [Self.frame(0x01, [0x34] + Self.kosme), Self.frame(0x00, [0xF4, 0x90, 0x80, 0x80])],
                closes: 1007
            ),
            AutobahnCase(
                "6.4.2",
                [Self.frame(0x01, [0x34] + Self.kosme + [0xF4]), Self.frame(0x00, [0x90])],
                closes: 1007
            ),
        ]
        for cut in 0...bytes.count {
            let frames = [Self.frame(0x01, [0x34] + bytes[..<cut]), Self.frame(0x80, Array(bytes[cut...]))]
            cases.append(AutobahnCase("6.2.2, cut at \(cut)", frames, [Self.echo(Self.greeting)]))
        }
        for length in 1...Self.kosme.count {
            let part = Array(Self.kosme.prefix(length))
            let isWhole = String(validating: part, as: UTF8.self) != nil
            cases += isWhole ? Self.valid("6.6, \(length)", [part]) : Self.invalid("6.6, \(length)", [part])
        }
        return cases
    }()

    /// 6.5 to 6.23: Kuhn's stress test of UTF-8 decoders.
    static let validText: [AutobahnCase] =
        Self.valid("6.5", [Self.kosme])
        + Self.valid("6.7", [[0x00], [0xC2, 0x80], [0xE0, 0xA0, 0x80], [0xF0, 0x90, 0x80, 0x80]])
        + Self.valid("6.9", [[0x7F], [0xDF, 0xBF], [0xEF, 0xBF, 0xBF], [0xF4, 0x8F, 0xBF, 0xBF]])
        + Self.valid(
            "6.11",
            [[0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBD], [0xF4, 0x8F, 0xBF, 0xBF]]
        )
        + Self.valid("6.22", [[0xEF, 0xBF, 0xBE], [0xEF, 0xBF, 0xBF]])
        + Self.valid(
            "6.22",
            (1...16).flatMap { plane in
                [0xFFFE, 0xFFFF].compactMap { Unicode.Scalar(UInt32(plane << 16 | $0)).map { Array(String($0).utf8) } }
            }
        )
        + Self.valid("6.23", (0xB9...0xBF).map { [0xEF, 0xBF, $0] })

    static let invalidText: [AutobahnCase] =
        Self.invalid("6.8", [[0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80]])
        + Self.invalid(
            "6.10",
            [[0xF7, 0xBF, 0xBF, 0xBF], [0xFB, 0xBF, 0xBF, 0xBF, 0xBF], [0xFD, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]]
        )
        + Self.invalid("6.11.5", [[0xF4, 0x90, 0x80, 0x80]])
        + Self.invalid(
            "6.12",
            [[0x80], [0xBF]] + (2...7).map { Array([0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF, 0x80][..<$0]) }
        )
        + Self.invalid("6.12.8", [Array(0x80...0xBF)])
        + Self.invalid(
            "6.13",
            ([0xC0...0xDF, 0xE0...0xEF, 0xF0...0xF7, 0xF8...0xFB, 0xFC...0xFD] as [ClosedRange<UInt8>])
                .map { $0.flatMap { [$0, 0x20] } }
        )
        + Self.invalid("6.14", Self.cutShort + [Self.cutShort.flatMap { $0 }])
        + Self.invalid("6.16", [[0xFE], [0xFF], [0xFE, 0xFE, 0xFF, 0xFF]])
        + Self.invalid(
            "6.17 to 6.19",
            [
                [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xF8, 0x80, 0x80, 0x80, 0xAF],
                [0xFC, 0x80, 0x80, 0x80, 0x80, 0xAF], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF],
                [0xF8, 0x87, 0xBF, 0xBF, 0xBF], [0xFC, 0x83, 0xBF, 0xBF, 0xBF, 0xBF], [0xC0, 0x80],
                [0xE0, 0x80, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF8, 0x80, 0x80, 0x80, 0x80],
                [0xFC, 0x80, 0x80, 0x80, 0x80, 0x80],
            ]
        )
        + Self.invalid("6.20", Self.surrogates)
        + Self.invalid(
            "6.21",
            Self.surrogates.prefix(4).flatMap { high in Self.surrogates.suffix(2).map { high + $0 } }
        )

    private static let cutShort: [[UInt8]] = [
        [0xC0], [0xE0, 0x80], [0xF0, 0x80, 0x80], [0xF8, 0x80, 0x80, 0x80], [0xFC, 0x80, 0x80, 0x80, 0x80], [0xDF],
        [0xEF, 0xBF], [0xF7, 0xBF, 0xBF], [0xFB, 0xBF, 0xBF, 0xBF], [0xFD, 0xBF, 0xBF, 0xBF, 0xBF],
    ]

    private static let surrogates: [[UInt8]] = [
        [0xED, 0xA0, 0x80], [0xED, 0xAD, 0xBF], [0xED, 0xAE, 0x80], [0xED, 0xAF, 0xBF], [0xED, 0xB0, 0x80],
        [0xED, 0xBE, 0x80], [0xED, 0xBF, 0xBF],
    ]
}
