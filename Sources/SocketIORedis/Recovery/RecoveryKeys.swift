/// The keys of one namespace's sessions and events. All share a hash tag, the namespace's name, and all expire.
struct RecoveryKeys: Sendable {
    private let base: String

    init(prefix: String, namespace: String) { self.base = "\(prefix):recovery:{\(namespace)}" }

    /// Hash: epoch and counter.
    var head: String { "\(self.base):head" }
    /// Stream: broadcasts to the whole namespace.
    var everyone: String { "\(self.base):all" }
    /// What the stream of a room is called before its name.
    var roomPrefix: String { "\(self.base):room:" }
    /// Stream: broadcasts to a room; a socket's id is one.
    func room(_ name: String) -> String { self.roomPrefix + name }
    /// Hash: a session's record.
    func session(_ pid: String) -> String { "\(self.base):session:\(pid)" }
    /// Stream: events to the socket of a session alone.
    func directs(_ pid: String) -> String { "\(self.base):direct:\(pid)" }
}
