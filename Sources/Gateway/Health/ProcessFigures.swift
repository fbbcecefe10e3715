import Foundation
import Metrics
import NIOPosix
import Synchronization

/// What the operating system says of this process, under the names that every Prometheus dashboard knows.
///
/// Read when somebody asks, on a thread that may block: `/proc` is a file system.
final class ProcessFigures: Sendable {
    private let resident = Gauge(label: "process_resident_memory_bytes")
    private let virtual = Gauge(label: "process_virtual_memory_bytes")
    private let openFiles = Gauge(label: "process_open_fds")
    private let maxFiles = Gauge(label: "process_max_fds")
    private let threads = Gauge(label: "process_threads")
    private let started = Gauge(label: "process_start_time_seconds")
    private let uptime = Gauge(label: "holdfast_uptime_seconds")
    private let cpu = FloatingPointCounter(label: "process_cpu_seconds_total")
    private let cpuTold = Mutex(0.0)
    private let start = Date.now

    init(version: String) {
        Gauge(label: "holdfast_build_info", dimensions: [("version", version), ("swift", Self.swiftVersion)]).record(1)
        started.record(start.timeIntervalSince1970)
    }

    private static var swiftVersion: String {
        #if compiler(>=6.3)
            "6.3"
        #elseif compiler(>=6.2)
            "6.2"
        #else
            "6"
        #endif
    }

    func update() async {
        uptime.record(Date.now.timeIntervalSince(start))
        try? await NIOThreadPool.singleton.runIfActive { self.read() }
    }

    private func read() {
        // After the name, which is in parentheses and may hold anything: fields 3 and on.
        if let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8), let end = stat.lastIndex(of: ")")
        {
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            if fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]) {
                let seconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
                let more = cpuTold.withLock { told in
                    defer { told = max(told, seconds) }
                    return seconds - told
                }
                if more > 0 { cpu.increment(by: more) }
                threads.record(Int(fields[17]) ?? 0)
                virtual.record(Int(fields[20]) ?? 0)
                resident.record((Int(fields[21]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))))
            }
        }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            openFiles.record(files.count)
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            maxFiles.record(Double(limit.rlim_cur))
        }
    }
}
