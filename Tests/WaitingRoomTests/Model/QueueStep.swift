/// One thing that a history did to Redis, and what the model answered.
enum QueueStep: Sendable {
    case join([(user: Int, qseq: Int64)], epoch: Int64, now: Int64, [RoomModel.Place]?)
    case stand([Int], now: Int64, [RoomModel.Place]?, RoomModel.Summary?)
    case leave(Int, over: Int64, ended: Int64, Bool)
    case announce(Int64, unpaused: Bool, now: Int64)
    case tick(RoomModel.TickCall, now: Int64, RoomModel.Tick)
    case wipe
    case claim(now: Int64)
    case load(LedgerModel.Content, now: Int64)
}
