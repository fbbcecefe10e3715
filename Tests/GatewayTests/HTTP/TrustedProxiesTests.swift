import Testing

@testable import Gateway

@Suite struct TrustedProxiesTests {
    private func proxies(_ texts: String...) throws -> TrustedProxies {
        TrustedProxies(try texts.map { try #require(TrustedProxies.Network($0)) })
    }

    @Test("Without a list nobody is believed")
    func nobody() {
        #expect(TrustedProxies().client(peer: "192.0.2.1", forwarded: "203.0.113.9") == "192.0.2.1")
    }

    @Test("A stranger's claim is not believed")
    func stranger() throws {
        let proxies = try proxies("10.0.0.0/8")
        #expect(proxies.client(peer: "192.0.2.1", forwarded: "203.0.113.9") == "192.0.2.1")
    }

    @Test("Of what our proxies wrote, the last stranger counts, whatever the stranger claimed before")
    func chain() throws {
        let proxies = try proxies("10.0.0.0/8", "fd00::/8")
        #expect(proxies.client(peer: "10.0.0.1", forwarded: "203.0.113.9") == "203.0.113.9")
        #expect(proxies.client(peer: "10.0.0.1", forwarded: "1.1.1.1, 203.0.113.9, 10.2.3.4") == "203.0.113.9")
        #expect(proxies.client(peer: "fd00::1", forwarded: "2001:db8::7") == "2001:db8::7")
        #expect(proxies.client(peer: "10.0.0.1", forwarded: "[2001:db8::7]:4711") == "2001:db8::7")
        #expect(proxies.client(peer: "10.0.0.1", forwarded: "203.0.113.9:4711") == "203.0.113.9")
        #expect(proxies.client(peer: "10.0.0.1", forwarded: "10.0.0.9, 10.0.0.8") == "10.0.0.9")
    }

    @Test("What is no address ends the chain", arguments: ["unknown", "", "a, b", "203.0.113.9, _hidden", "999.1.1.1"])
    func odd(forwarded: String) throws {
        #expect(try proxies("10.0.0.0/8").client(peer: "10.0.0.1", forwarded: forwarded) == "10.0.0.1")
    }

    @Test("An IPv4 address within IPv6 is what it is")
    func mapped() throws {
        #expect(try proxies("10.0.0.0/8").client(peer: "::ffff:10.0.0.1", forwarded: "203.0.113.9") == "203.0.113.9")
    }

    @Test("Networks end at any bit")
    func bits() throws {
        let network = try #require(TrustedProxies.Network("192.168.4.0/22"))
        #expect(network.contains([192, 168, 7, 255]))
        #expect(!network.contains([192, 168, 8, 0]))
        #expect(try #require(TrustedProxies.Network("0.0.0.0/0")).contains([8, 8, 8, 8]))
    }

    @Test(
        "What is no network is refused",
        arguments: ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "x", "10.0.0.1/8/8"]
    )
    func malformed(text: String) { #expect(TrustedProxies.Network(text) == nil) }
}
