import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import Orders

/// What form a report is wanted in.
enum ReportFormat: Equatable {
    case json, csv
    /// A line for each seat that somebody has.
    case soldSeats

    /// `?format=json` or `csv`, else what `Accept` prefers; `?detail=seats` with CSV.
    init(_ request: Request) throws(Problem) {
        let accept = request.headers[.accept]?.lowercased() ?? ""
        let isCSV =
            switch request.uri.queryParameters["format"] {
            case "csv": true
            case "json": false
            case nil: accept.hasPrefix("text/csv")
            default: throw .invalid(.init("format", "must be json or csv"))
            }
        switch request.uri.queryParameters["detail"] {
        case nil: self = isCSV ? .csv : .json
        case "seats" where isCSV: self = .soldSeats
        case "seats": throw .invalid(.init("detail", "needs format=csv"))
        default: throw .invalid(.init("detail", "must be seats"))
        }
    }
}

struct SalesReportPayload: Encodable {
    struct Section: Encodable {
        let name: String
        let revenue: Int64
        let sold: Int
        let pending: Int
        let available: Int
    }

    let eventId: EventID
    let currency: String
    let revenue: Int64
    let sold: Int
    let pending: Int
    let available: Int
    let bySection: [Section]

    init(_ report: SalesReport) {
        eventId = report.event
        currency = report.currency
        revenue = report.revenue
        sold = report.sold
        pending = report.pending
        available = report.available
        bySection = report.bySection.map {
            Section(name: $0.name, revenue: $0.revenue, sold: $0.sold, pending: $0.pending, available: $0.available)
        }
    }
}

extension SalesReport {
    /// A line for each section.
    func csv() -> Response {
        var text = CSV.line(["section", "currency", "revenue", "sold", "pending", "available"])
        for section in bySection {
            text += CSV.line([
                section.name, currency, "\(section.revenue)", "\(section.sold)", "\(section.pending)",
                "\(section.available)",
            ])
        }
        return CSV.response("report-\(event).csv", .init(byteBuffer: .init(string: text)))
    }
}

/// A line for each reserved or sold seat, in layout order, read and sent a thousand at a time: a reader who is slow
/// holds no connection to PostgreSQL, and a hall of 100,000 seats takes no more memory than a small one.
struct SoldSeatsCSV: Sendable {
    let orders: Orders
    let event: Event

    func response() -> Response {
        let body = ResponseBody { writer in
            try await writer.write(
                .init(
                    string: CSV.line([
                        "seatId", "section", "row", "number", "price", "currency", "status", "userId", "reservationId",
                        "createdAt", "paidAt",
                    ])
                )
            )
            var ordinal = -1
            while true {
                let page = try await orders.soldSeats(of: event.id, after: ordinal, limit: 1_000)
                guard let last = page.last else { break }
                try await writer.write(.init(string: page.map(line).joined()))
                ordinal = last.ordinal
            }
            try await writer.finish(nil)
        }
        return CSV.response("seats-\(event.id).csv", body)
    }

    private func line(_ seat: SoldSeat) -> String {
        CSV.line([
            seat.id, seat.section, "\(seat.row)", "\(seat.number)", "\(seat.price)", event.currency,
            seat.status.rawValue, seat.user, seat.reservation.rawValue, seat.createdAt.description,
            seat.paidAt?.description ?? "",
        ])
    }
}
