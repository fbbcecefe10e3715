import Crypto

/// A Lua script that Redis runs as one atomic step.
///
/// Sent by its digest; the source follows only when the server does not know it. Keys are named apart from the other
/// arguments because in a Redis Cluster they decide which server runs the script.
package struct RedisScript: Sendable {
    /// Names the script in errors.
    package let name: String
    let source: [UInt8]
    /// The lower-case hexadecimal SHA-1 of the source, by which Redis knows it.
    package let sha1: String

    package init(name: String, source: [UInt8]) {
        self.name = name
        self.source = source
        let digits = Array("0123456789abcdef".utf8)
        let digest = Insecure.SHA1.hash(data: source)
        sha1 = String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Makes Redis know the script, for a pipeline whose calls must run in their order also the first time.
    package var load: RedisCommand {
        RedisCommand("SCRIPT", "LOAD", RedisArgument(bytes: source))
    }
}

/// One call of a script, for a pipeline of them.
package struct RedisScriptCall: Sendable {
    package let script: RedisScript
    package let keys: [RedisArgument]
    package let arguments: [RedisArgument]

    package init(_ script: RedisScript, keys: [String], arguments: [RedisArgument] = []) {
        self.init(script, keys: keys.map { RedisArgument($0) }, arguments: arguments)
    }

    /// With keys that the caller has at hand for every call.
    package init(_ script: RedisScript, keys: [RedisArgument], arguments: [RedisArgument]) {
        assert(Set(keys.map { HashSlot.of($0) }).count <= 1, "\(script.name): its keys need one hash tag")
        self.script = script
        self.keys = keys
        self.arguments = arguments
    }

    /// The call, for a pipeline with other commands; answered NOSCRIPT if Redis does not know the script.
    package var byDigest: RedisCommand {
        command("EVALSHA", RedisArgument(script.sha1))
    }

    package var bySource: RedisCommand {
        command("EVAL", RedisArgument(bytes: script.source))
    }

    private func command(_ name: String, _ script: RedisArgument) -> RedisCommand {
        var all: [RedisArgument] = []
        all.reserveCapacity(2 + keys.count + arguments.count)
        all.append(script)
        all.append(RedisArgument(keys.count))
        all += keys
        all += arguments
        return RedisCommand(name, arguments: all)
    }
}
