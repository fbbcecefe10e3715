/// How Redis writes what PostgreSQL says of a place; see `KEYS[6]` of SeatState.
enum WrittenClaim {
    /// Off sale.
    static let blocked = "|blocked"

    /// - Parameters: of the live claim, all nil without one.
    /// - Returns: nil without a claim.
    static func text(_ user: String?, _ reservation: String?, _ number: Int?) -> String? {
        guard let user, let reservation, let number else { return nil }
        return "\(user)|\(reservation):\(number)"
    }
}
