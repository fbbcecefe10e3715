import Events
import HoldfastCore
import Orders

struct ReservationPayload: Encodable {
    struct SeatPayload: Encodable {
        let id: SeatID
        let section: String
        let row: Int
        let number: Int
        let price: Int64

        init(_ seat: Seat) {
            id = seat.id
            section = seat.section
            row = seat.row
            number = seat.number
            price = seat.price
        }
    }

    let reservationId: ReservationID
    let eventId: EventID
    let status: String
    let seats: [SeatPayload]
    let totalAmount: Int64
    let currency: String
    let expiresAt: ServerTime
    let createdAt: ServerTime
    let paidAt: ServerTime?

    init(_ reservation: Reservation) {
        reservationId = reservation.id
        eventId = reservation.event
        status = reservation.status.rawValue
        seats = reservation.seats.map { SeatPayload($0) }
        totalAmount = reservation.totalAmount
        currency = reservation.currency
        expiresAt = reservation.expiresAt
        createdAt = reservation.createdAt
        paidAt = reservation.paidAt
    }
}

struct PaymentPayload: Encodable {
    let success: Bool
    let paymentId: PaymentID
    let reservation: ReservationPayload
}
