import HTTPTypes
import Testing

@testable import Gateway

@Suite struct KnownAddressesTests {
    private let addresses = KnownAddresses([
        ("/api/sessions", .get), ("/api/sessions/{id}", .get), ("/api/sessions/{id}", .delete), ("/api/login", .post),
    ])

    @Test("An address says which methods it takes, HEAD with every GET")
    func methods() {
        #expect(addresses.methods(of: "/api/sessions") == ["GET", "HEAD"])
        #expect(addresses.methods(of: "/api/sessions/7?x=1") == ["DELETE", "GET", "HEAD"])
        #expect(addresses.methods(of: "/api/login/") == ["POST"])
    }

    @Test("An address that nobody serves takes none")
    func unknown() {
        #expect(addresses.methods(of: "/api").isEmpty)
        #expect(addresses.methods(of: "/api/sessions/7/more").isEmpty)
    }
}
