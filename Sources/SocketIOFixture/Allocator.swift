import CMalloc

/// Settings of the C allocator that pay with one event loop.
enum Allocator {
    /// All threads share the main arena.
    ///
    /// A thread's own arena grows by whole pages and a system call for each growth, of which a connection needs one
    /// or two; the main arena grows by 128 KiB. With one loop there is nobody to wait for at its lock. With several,
    /// each keeps an arena of its own.
    static func useOneArena() {
        _ = mallopt(M_ARENA_MAX, 1)
    }
}
