import Testing

@testable import EngineIO

@Suite struct EngineQueryTests {
    @Test("The parameters of the protocol are read, others are left alone")
    func usual() {
        let query = EngineQuery(target: "/socket.io/?EIO=4&transport=polling&t=abc&sid=a%2Db&x=1")
        #expect(query.transport == .polling)
        #expect(query.sid == "a-b")
        #expect(query.isProtocol4)
        #expect(!query.isScript)
    }

    @Test("What is missing, empty or unknown is none", arguments: ["/x", "/x?", "/x?&&=&transport=abc&sid=&EIO=3"])
    func nothing(target: String) {
        let query = EngineQuery(target: target)
        #expect(query.transport == nil)
        #expect(query.sid == nil)
        #expect(!query.isProtocol4)
    }

    @Test("The first value of a parameter counts")
    func twice() {
        #expect(EngineQuery(target: "/x?transport=websocket&transport=polling").transport == .websocket)
        #expect(EngineQuery(target: "/x?j=1").isScript)
    }

    @Test("A cookie says what it is asked to say")
    func cookie() {
        #expect(EngineCookie().field(sid: "abc") == "io=abc; Path=/; HttpOnly; SameSite=Lax")
        var cookie = EngineCookie(name: "hf")
        cookie.maxAgeSeconds = 60
        cookie.isSecure = true
        cookie.sameSite = EngineCookie.SameSite.none
        cookie.path = nil
        #expect(cookie.field(sid: "abc") == "hf=abc; Max-Age=60; HttpOnly; Secure; SameSite=None")
    }
}
