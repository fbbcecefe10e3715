import Foundation
import Gateway

/// The settings, as far as they can be judged without asking a store.
enum ConfigurationCheck {
    static func findings(_ settings: Settings) -> [Finding] {
        let keys = settings.secrets.split(separator: ",").count
        var findings: [Finding] = [
            .ok("configuration", "\(settings.environment.rawValue), \(keys == 1 ? "1 secret" : "\(keys) secrets")")
        ]
        guard settings.environment == .production else { return findings }
        if settings.paymentWebhookSecret == nil {
            findings.append(
                .warning(
                    "payments",
                    "no payment result can come in",
                    mend: "set PAYMENT_WEBHOOK_SECRET to what the provider signs with"
                )
            )
        }
        if settings.metricsToken == nil {
            findings.append(
                .warning("metrics", "/metrics is for this machine only", mend: "set METRICS_TOKEN for Prometheus")
            )
        }
        return findings
    }
}

/// What the operating system allows, and the folders that travel with the binary.
enum MachineCheck {
    /// Below this not even a small sale works; every socket is a file.
    private static let fewFiles = 4_096
    private static let enoughFiles = 65_536

    static func findings() -> [Finding] {
        var findings = [files()]
        for (folder, variable) in [("Web", "HOLDFAST_WEB"), ("Migrations", "HOLDFAST_MIGRATIONS")] {
            do {
                findings.append(.ok(folder, try Installation.folder(folder, override: variable)))
            } catch {
                findings.append(.failed(folder, "the folder is missing", mend: "set \(variable) to where it is"))
            }
        }
        return findings
    }

    private static func files() -> Finding {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return .warning("file limit", "cannot be read", mend: "see 'ulimit -n'")
        }
        let files = limit.rlim_cur > UInt64(Int.max) ? Int.max : Int(limit.rlim_cur)
        let detail = "\(files) files may be open, every socket is one"
        let mend = "raise it to \(enoughFiles) or more: LimitNOFILE= in systemd, 'ulimit -n' in a shell"
        if files < fewFiles { return .failed("file limit", detail, mend: mend) }
        if files < enoughFiles { return .warning("file limit", detail, mend: mend) }
        return .ok("file limit", "\(files) files may be open")
    }
}

/// How far a store's clock is from ours.
enum ClockCheck {
    /// - Parameters:
    ///   - before: our clock when we asked.
    ///   - after: when the answer came. The store looked at its own in between.
    static func finding(_ store: String, storeMs: Int64, before: Int64, after: Int64) -> Finding {
        let apart = storeMs < before ? before - storeMs : max(0, storeMs - after)
        let name = "clock of \(store)"
        let detail = "\(apart) ms from this machine's"
        let mend = "run NTP on both machines"
        if apart > 5_000 { return .failed(name, detail, mend: mend) }
        if apart > 500 { return .warning(name, detail, mend: mend) }
        return .ok(name, detail)
    }
}
