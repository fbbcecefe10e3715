extension RedisCommand {
    /// The hash slot of the command's keys; nil for a command without any, which every node may run.
    ///
    /// A script's keys are those it is given as such. A command of a family not named here has its key first, as most do.
    /// - Throws: ``RedisError/Code/invalidRequest`` when keys lie in several slots, or the command is of no use in a cluster.
    var slot: Int? {
        get throws(RedisError) {
            switch name {
            case "PING", "INFO", "TIME", "ECHO", "CLUSTER", "CONFIG", "CLIENT", "ACL", "SCRIPT", "COMMAND", "DBSIZE",
                "FLUSHALL", "WAIT":
                return nil
            case "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "SELECT":
                throw RedisError(.invalidRequest, "\(name): a cluster has scripts instead")
            case "EVAL", "EVALSHA":
                guard arguments.count >= 2, case .text(let text) = arguments[1].storage, let count = Int(text),
                    count >= 0, arguments.count >= 2 + count
                else { throw RedisError(.invalidRequest, "\(name): the keys are not counted") }
                return try common(arguments[2..<(2 + count)])
            case "DEL", "UNLINK", "EXISTS", "TOUCH", "MGET", "SINTER", "SUNION", "SDIFF", "RENAME", "RENAMENX",
                "SSUBSCRIBE", "SUNSUBSCRIBE":
                return try common(arguments[...])
            case "XINFO", "OBJECT", "MEMORY", "PUBSUB":
                return try common(arguments.dropFirst().prefix(1))
            default:
                return try common(arguments.prefix(1))
            }
        }
    }

    private func common(_ keys: ArraySlice<RedisArgument>) throws(RedisError) -> Int? {
        guard let first = keys.first else { return nil }
        let slot = HashSlot.of(first)
        for key in keys.dropFirst() where HashSlot.of(key) != slot {
            throw RedisError(.invalidRequest, "\(name): its keys lie in several hash slots; give them one hash tag")
        }
        return slot
    }

    /// Publishes to a channel, in the way that its listeners listen to it; see ``RedisSubscriber``.
    ///
    /// The reply is how many listen: of all for a channel with a hash tag, of those at one node for another in a cluster.
    package static func publish(_ message: RedisArgument, to channel: String) -> RedisCommand {
        RedisCommand(HashSlot.isSharded(channel) ? "SPUBLISH" : "PUBLISH", RedisArgument(channel), message)
    }
}
