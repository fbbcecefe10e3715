import Testing

@testable import Redis

struct RedisErrorTests {
    @Test(
        "An error reply says whether to try again and whether it may have run",
        arguments: [
            ("LOADING Redis is loading", true, false), ("READONLY You can't write", true, false),
            ("MASTERDOWN Link is down", true, false), ("TRYAGAIN Multiple keys", true, false),
            ("OOM command not allowed", true, false), ("BUSY Redis is busy", true, false),
            ("NOSCRIPT No matching script", false, false), ("NOPERM this user", false, true),
            ("WRONGTYPE Operation against", false, true), ("ERR user_script:1: secret", false, true), ("", false, true),
            ("CLUSTERDOWN Hash slot not served", true, false), ("MOVED 1 h:1", true, false),
            ("ERR Script attempted to access a non local key in a cluster node", true, true),
        ]
    )
    func classified(_ text: String, isRetryable: Bool, mayHaveRun: Bool) {
        let error = RedisError(reply: text)
        #expect(error.code == .server)
        #expect(error.isRetryable == isRetryable)
        #expect(error.mayHaveRun == mayHaveRun)
    }

    @Test("An error's description holds neither the server's text nor what a script raised")
    func quiet() {
        #expect(!RedisError(reply: "ERR unknown command with args: hunter2").description.contains("hunter2"))
        #expect(!RedisError(reply: "hunter2 was raised").description.contains("hunter2"))
        #expect(RedisError(reply: "ERR args: hunter2").debugDescription.contains("hunter2"))
    }
}
