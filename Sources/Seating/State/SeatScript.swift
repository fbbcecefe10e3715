import Redis

/// The scripts of this slice: what they have in common, then the action's own text.
enum SeatScript {
    static let select = action("SelectSeats", PackageResources.Orphans_lua + PackageResources.SelectSeats_lua)
    static let takeBest = action("TakeBest", PackageResources.Orphans_lua + PackageResources.TakeBest_lua)
    static let release = action("ReleaseSeats", PackageResources.ReleaseSeats_lua)
    static let extend = action("ExtendHold", PackageResources.ExtendHold_lua)
    static let showHold = action("ShowHold", PackageResources.ShowHold_lua)
    static let sweep = action("SweepHolds", PackageResources.SweepHolds_lua)
    static let markReserved = action("MarkReserved", PackageResources.MarkReserved_lua)
    static let free = action("FreeSeats", PackageResources.FreeSeats_lua)
    static let block = action("BlockSeats", PackageResources.BlockSeats_lua)
    static let showSeats = action("ShowSeats", PackageResources.ShowSeats_lua)
    static let showChanges = action("ShowChanges", PackageResources.ShowChanges_lua)
    static let inspect = action("InspectSeats", PackageResources.InspectSeats_lua)
    static let correct = action("CorrectSeats", PackageResources.CorrectSeats_lua)
    static let rebuild = RedisScript(name: "RebuildSeats", source: PackageResources.RebuildSeats_lua)

    private static func action(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: PackageResources.SeatState_lua + source)
    }
}
