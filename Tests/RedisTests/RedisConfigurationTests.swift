import Testing

@testable import Redis

struct RedisConfigurationTests {
    @Test("An address names host, port, database, user and password")
    func whole() throws {
        let configuration = try RedisConfiguration(url: "redis://al%40ice:p%3A%2F%40%25w@db.example:7000/3")
        #expect(configuration.host == "db.example")
        #expect(configuration.port == 7000)
        #expect(configuration.database == 3)
        #expect(configuration.user == "al@ice")
        #expect(configuration.password == "p:/@%w")
        #expect(!configuration.usesTLS)
    }

    @Test("What an address leaves out has its usual value")
    func defaults() throws {
        let configuration = try RedisConfiguration(url: "rediss://[::1]")
        #expect(configuration.host == "::1")
        #expect(configuration.port == 6379)
        #expect(configuration.database == 0)
        #expect(configuration.user == nil)
        #expect(configuration.password == nil)
        #expect(configuration.usesTLS)
    }

    @Test("A password without a user is the default user's")
    func passwordOnly() throws {
        let configuration = try RedisConfiguration(url: "redis://:secret@localhost/")
        #expect(configuration.user == nil)
        #expect(configuration.password == "secret")
        let handshake = Handshake(configuration)
        #expect(handshake.commands.first == RedisCommand("AUTH", "secret"))
    }

    @Test(
        "An address that makes no sense is refused without being quoted",
        arguments: [
            "", "localhost:6379", "http://secret", "redis://", "redis://secret@host", "redis://u:%zz@secret",
            "redis://secret:0", "redis://secret:port", "redis://secret/x", "redis://secret/-1", "redis://[::1",
            "redis://u:p#secret@host", "redis+sentinel://secret:26379/main", "redis+cluster://secret:7000",
            "redis://u:%ff@secret", "redis://secret:99999",
        ]
    )
    func refused(_ url: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains("secret") == false)
    }
}
