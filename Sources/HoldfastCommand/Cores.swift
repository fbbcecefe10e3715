import Foundation
import NIOCore

/// The processor's cores that this process may use.
enum Cores {
    /// What a container's quota, its set of cores and `taskset` leave; an event loop beyond them would only take turns
    /// with the others.
    static var available: Int {
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return max(1, min(allowed(status: status ?? "") ?? System.coreCount, System.coreCount))
    }

    /// How many cores a process' status allows; nil where it does not say, as on other systems than Linux.
    ///
    /// - Source: proc_pid_status(5), `Cpus_allowed`: words of hexadecimal digits, separated by commas.
    static func allowed(status: String) -> Int? {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
            return nil
        }
        return line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount }
    }
}
