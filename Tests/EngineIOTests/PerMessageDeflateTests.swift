import EngineIO
import Testing

@Suite struct PerMessageDeflateTests {
    private static let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    @Test(
        "An offer is answered with compression that remembers nothing between messages",
        arguments: [
            "permessage-deflate", "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=10", "permessage-deflate; client_max_window_bits=\"15\"",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate", ",, permessage-deflate ,",
            " permessage-deflate\t;\tclient_max_window_bits = \"1\\0\" ", "other; a=\"b\", permessage-deflate",
        ]
    )
    func accepted(offer: String) {
        #expect(PerMessageDeflate.negotiate(offer: offer) == Self.plain)
        #expect(PerMessageDeflate.agree(on: offer)?.maxCompressedBytes == Int.max)
    }

    @Test("A client's small window is granted, and bounds the messages that are compressed for it")
    func serverWindow() {
        for bits in 8...15 {
            let agreement = PerMessageDeflate.agree(on: "permessage-deflate; server_max_window_bits=\(bits)")
            #expect(agreement?.field == Self.plain + "; server_max_window_bits=\(bits)")
            #expect(agreement?.maxCompressedBytes == (bits < 15 ? 1 << bits : Int.max))
        }
    }

    @Test(
        "An offer with anything unknown, doubled or out of range is declined",
        arguments: [
            "", "gzip", "permessage-deflate; level=9", "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08", "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=ten",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=true",
            "Permessage-Deflate",
        ]
    )
    func declined(offer: String) {
        #expect(PerMessageDeflate.negotiate(offer: offer) == nil)
    }

    @Test(
        "A malformed list is declined as a whole",
        arguments: [
            "permessage-deflate;", "permessage-deflate; =1", "permessage-deflate, ;", "permessage-deflate foo",
            "permessage-deflate; client_max_window_bits=", "permessage-deflate; client_max_window_bits=\"15",
            "permessage-deflate; client_max_window_bits=\"\"", "permessage-deflate; client_max_window_bits=\"1 5\"",
            "permessage-deflate, \u{7F}", "permessage-deflate; a=\"\\",
        ]
    )
    func malformed(offer: String) {
        #expect(PerMessageDeflate.negotiate(offer: offer) == nil)
    }

    @Test("The first offer that is understood counts, a later one is the fallback")
    func fallback() {
        let offer =
            "permessage-deflate; server_max_window_bits=20, permessage-deflate; server_max_window_bits=9,"
            + " permessage-deflate"
        #expect(PerMessageDeflate.negotiate(offer: offer) == Self.plain + "; server_max_window_bits=9")
    }
}
