import NIOCore

/// Which of a cluster's 16,384 parts a key or a sharded channel belongs to.
///
/// - Source: Redis cluster specification, "Key distribution model" and "Hash tags".
enum HashSlot {
    static let count = 16_384

    static func of(_ key: String) -> Int { of(key.utf8) }

    /// CRC16 (XMODEM) of the hash tag, or of the whole where there is none.
    static func of(_ key: some BidirectionalCollection<UInt8>) -> Int {
        var crc: UInt16 = 0
        for byte in tag(key) ?? key[...] {
            crc = crc << 8 ^ table[Int(crc >> 8 ^ UInt16(byte))]
        }
        return Int(crc) % count
    }

    static func of(_ argument: RedisArgument) -> Int {
        switch argument.storage {
        case .text(let text): of(text.utf8)
        case .buffer(let buffer): of(buffer.readableBytesView)
        case .bytes(let bytes): of(bytes)
        }
    }

    /// A channel with a hash tag is carried by the server of its slot alone; one without goes through all servers.
    static func isSharded(_ channel: String) -> Bool { tag(channel.utf8) != nil }

    /// What stands between the first `{` and the next `}`, unless that is nothing.
    private static func tag<Bytes: BidirectionalCollection<UInt8>>(_ key: Bytes) -> Bytes.SubSequence? {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return nil }
        let rest = key[key.index(after: open)...]
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else { return nil }
        return rest[..<close]
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
}
