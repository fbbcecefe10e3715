import Testing

@testable import Redis

struct RedisConfigurationTests {
    @Test("An address names host, port, database, user and password")
    func whole() throws {
        let configuration = try RedisConfiguration(url: "redis://al%40ice:p%3A%2F%40%25w@db.example:7000/3")
        #expect(configuration.endpoints.first?.host == "db.example")
        #expect(configuration.endpoints.first?.port == 7000)
        #expect(configuration.database == 3)
        #expect(configuration.user == "al@ice")
        #expect(configuration.password == "p:/@%w")
        #expect(!configuration.usesTLS)
    }

    @Test("An address of sentinels names them, the primary, the database and two passwords")
    func sentinels() throws {
        let configuration = try RedisConfiguration(
            url: "rediss+sentinel://al:pw@a:1,b/my%2Fmain/3?sentinel_password=s%26p&sentinel_user=sam"
        )
        #expect(configuration.topology == .sentinel(primary: "my/main"))
        #expect(configuration.endpoints == [.init(host: "a", port: 1), .init(host: "b", port: 26379)])
        #expect(configuration.database == 3)
        #expect(configuration.password == "pw")
        #expect(configuration.sentinelUser == "sam")
        #expect(configuration.sentinelPassword == "s&p")
        #expect(configuration.usesTLS)
    }

    @Test("An address of a cluster names some of its nodes")
    func cluster() throws {
        let configuration = try RedisConfiguration(url: "redis+cluster://al:pw@a:1,[::1]:2,c/0")
        #expect(configuration.topology == .cluster)
        #expect(
            configuration.endpoints
                == [.init(host: "a", port: 1), .init(host: "::1", port: 2), .init(host: "c", port: 6379)]
        )
        #expect(configuration.user == "al")
    }

    @Test("What an address leaves out has its usual value")
    func defaults() throws {
        let configuration = try RedisConfiguration(url: "rediss://[::1]")
        #expect(configuration.endpoints.first?.host == "::1")
        #expect(configuration.endpoints.first?.port == 6379)
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
            "redis://u:p#secret@host", "redis://secret,other", "redis+sentinel://secret:26379",
            "redis+sentinel://secret/main/0?other=1", "redis+sentinel://secret/main?sentinel_user=u",
            "redis+sentinel://secret,/main", "redis+cluster://secret:7000/1", "redis+cluster://secret:7000?a=b",
            "redis://u:%ff@secret", "redis://secret:99999",
        ]
    )
    func refused(_ url: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains("secret") == false)
    }
}
