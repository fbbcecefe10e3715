import Testing

@testable import Postgres

@Suite("Which statements stay prepared")
struct StatementCacheTests {
    @Test("The statement unused for longest makes room, and its name waits to be deallocated")
    func eviction() {
        var cache = StatementCache(capacity: 2)
        cache.insert("a", name: "s1")
        cache.insert("b", name: "s2")
        #expect(cache.name(of: "a") == "s1")
        cache.insert("c", name: "s3")
        #expect(cache.name(of: "b") == nil)
        #expect(cache.name(of: "a") == "s1")
        #expect(cache.garbage == ["s2"])
        cache.deallocated("s2")
        #expect(cache.garbage.isEmpty)
        #expect(cache.count == 2)
    }

    @Test("A statement that became useless is forgotten")
    func removal() {
        var cache = StatementCache(capacity: 2)
        cache.insert("a", name: "s1")
        cache.remove("a")
        cache.remove("a")
        #expect(cache.name(of: "a") == nil)
        #expect(cache.garbage == ["s1"])
    }
}
