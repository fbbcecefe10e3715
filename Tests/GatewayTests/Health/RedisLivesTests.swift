import Testing

@testable import Gateway

struct RedisLivesTests {
    @Test(
        "Only a history that nobody serves any more is a loss",
        arguments: [
            // The same server as ever.
            ("a", "a", ["a"], RedisLives.Verdict.same),
            // An event that is new.
            (nil, "a", ["a"], .note("a")),
            // Restarted, restored or failed over.
            ("a", "b", ["b"], .rebuild("b")),
            ("a", "b", ["b", "c"], .rebuild("b")),
            // The slot moved: the server it came from is as it was.
            ("a", "b", ["a", "b"], .note("b")),
            // Nobody has the slot now.
            ("a", nil, ["b"], .same), (nil, nil, ["b"], .same),
        ] as [(String?, String?, Set<String>, RedisLives.Verdict)]
    )
    func verdicts(_ remembered: String?, _ owner: String?, _ served: Set<String>, _ verdict: RedisLives.Verdict) {
        #expect(RedisLives.judge(remembered: remembered, owner: owner, served: served) == verdict)
    }
}
