import Synchronization

/// The namespaces of patterns. Each lives for as long as a socket, or the application, holds it; then its name and its
/// subscriptions go. So who connects to ever new names leaves nothing behind.
///
/// The last holder may let go while the next one asks for the same name: the table counts the lives of a name, so that
/// the adapter hears of a name's first life and of the end of its last one, in that order.
final class PatternNamespaces: Sendable {
    private struct Entry: Sendable {
        weak var namespace: Namespace?
        var lives = 0
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let adapterBox = Mutex<(any SocketAdapter)?>(nil)

    func attach(_ adapter: any SocketAdapter) {
        self.adapterBox.withLock { $0 = adapter }
        for name in self.entries.withLock({ Array($0.keys) }) { adapter.opened(namespace: name) }
    }

    func existing(_ name: String) -> Namespace? { self.entries.withLock { $0[name]?.namespace } }

    var all: [Namespace] { self.entries.withLock { $0.values.compactMap(\.namespace) } }

    /// The namespace of that name, made by `make` if there is none.
    func namespace(_ name: String, make: (NamespaceLease) -> Namespace) -> Namespace {
        // Made outside the lock: what is not needed ends, which takes the lock again.
        let fresh = make(NamespaceLease(name: name, owner: self))
        let adapter = self.adapterBox.withLock { $0 }
        return self.entries.withLock { entries in
            var entry = entries[name] ?? Entry()
            if let existing = entry.namespace { return existing }
            entry.namespace = fresh
            entry.lives += 1
            entries[name] = entry
            fresh.leaseIsHeld()
            if entry.lives == 1 { adapter?.opened(namespace: name) }
            return fresh
        }
    }

    fileprivate func ended(_ name: String) {
        let adapter = self.adapterBox.withLock { $0 }
        self.entries.withLock { entries in
            guard let lives = entries[name]?.lives else { return }
            if lives > 1 {
                entries[name]?.lives = lives - 1
            } else {
                entries[name] = nil
                adapter?.closed(namespace: name)
            }
        }
    }
}

/// One life of a name; it ends with the namespace that owns this object.
final class NamespaceLease: Sendable {
    private let name: String
    private let owner: PatternNamespaces
    /// A namespace that lost the race for its name never had it.
    private let isHeld = Atomic<Bool>(false)

    init(name: String, owner: PatternNamespaces) {
        self.name = name
        self.owner = owner
    }

    func hold() { self.isHeld.store(true, ordering: .relaxed) }

    deinit { if self.isHeld.load(ordering: .relaxed) { self.owner.ended(self.name) } }
}
