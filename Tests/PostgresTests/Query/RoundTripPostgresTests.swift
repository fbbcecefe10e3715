import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Values on their way to a real server and back", .enabled(if: TestPostgres.isConfigured))
struct RoundTripPostgresTests {
    @Test("Every type comes back as it was sent")
    func roundTrip() async throws {
        try await TestPostgres.withDatabase { client in
            let id = UUID()
            let text = "ticket \"A\" \\ 'x' ü 🎟️"
            let row = try await client.query(
                """
                SELECT \(text)::text, \(Int64.min)::bigint, \(true)::boolean, \(0.1)::float8, \(id)::uuid,
                    \([0, 1, 255] as [UInt8])::bytea, \(["a", "", "NULL", "b,\"\\{}"])::text[], \([3, 2, 1])::bigint[],
                    \(nil as String?)::text, \([String]())::text[], \(["x", nil] as [String?])::text[]
                """
            )[0]
            let values = try row.decode(
                (
                    String, Int64, Bool, Double, UUID, [UInt8], [String], [Int], String?, [String], [String?]
                ).self
            )
            #expect(values.0 == text)
            #expect(values.1 == .min)
            #expect(values.2)
            #expect(values.3 == 0.1)
            #expect(values.4 == id)
            #expect(values.5 == [0, 1, 255])
            #expect(values.6 == ["a", "", "NULL", "b,\"\\{}"])
            #expect(values.7 == [3, 2, 1])
            #expect(values.8 == nil)
            #expect(values.9.isEmpty)
            #expect(values.10 == ["x", nil])
        }
    }
}
