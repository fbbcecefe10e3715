import Foundation

/// The sockets that this process may have open at a time.
enum OpenFiles {
    /// For everything but fans' sockets: HTTP connections, loops, standard streams.
    static let reserve = 1_200

    /// Raises the limit to what the system lets us, and says what to do if that is too little.
    static func require(_ count: Int) throws {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < rlim_t(count) else { return }
        limit.rlim_cur = min(rlim_t(count), limit.rlim_max)
        guard setrlimit(resource, &limit) == 0, limit.rlim_cur >= rlim_t(count) else {
            throw SimulationError(
                "\(count) open files are needed and \(limit.rlim_max) allowed; run 'ulimit -n \(count)' before, or take fewer fans"
            )
        }
    }
}
