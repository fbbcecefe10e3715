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
        // What was served before says nothing of an event whose history is known.
        guard remembered != nil else { return }
        #expect(RedisLives.judge(remembered: remembered, owner: owner, served: served, before: ["a"]) == verdict)
    }

    @Test("An event that is too new for its history to be known is a loss as well, if another was served before")
    func newEvent() {
        #expect(RedisLives.judge(remembered: nil, owner: "b", served: ["b"], before: ["a"]) == .rebuild("b"))
        #expect(RedisLives.judge(remembered: nil, owner: "b", served: ["b"], before: ["a", "b"]) == .note("b"))
        #expect(RedisLives.judge(remembered: nil, owner: "b", served: ["b"], before: nil) == .note("b"))
    }
}
