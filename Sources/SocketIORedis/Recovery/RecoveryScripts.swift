import Redis

/// The scripts of connection state recovery; each begins with the common part.
enum RecoveryScripts {
    static let head = script("RecoveryHead", PackageResources.RecoveryHead_lua)
    static let broadcast = script("RecoveryBroadcast", PackageResources.RecoveryBroadcast_lua)
    static let begin = script("RecoveryBegin", PackageResources.RecoveryBegin_lua)
    static let change = script("RecoveryChange", PackageResources.RecoveryChange_lua)
    static let emit = script("RecoveryEmit", PackageResources.RecoveryEmit_lua)
    static let end = script("RecoveryEnd", PackageResources.RecoveryEnd_lua)
    static let refresh = script("RecoveryRefresh", PackageResources.RecoveryRefresh_lua)
    static let claim = script("RecoveryClaim", PackageResources.RecoveryClaim_lua)
    static let read = script("RecoveryRead", PackageResources.RecoveryRead_lua)

    static let all = [head, broadcast, begin, change, emit, end, refresh, claim, read]

    private static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: PackageResources.RecoveryCommon_lua + source)
    }
}
