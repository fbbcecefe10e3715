import Crypto
import FoundationEssentials

/// One file of `Migrations/`: `0001_accounts.sql`.
package struct Migration: Sendable, Equatable {
    package let version: Int
    package let name: String
    package let sql: String

    package init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }

    /// The SHA-256 of the file's bytes, in hexadecimal.
    package var checksum: String {
        SHA256.hash(data: Array(sql.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }
}

extension PostgresMigrator {
    /// Reads every `NNNN_name.sql` of a directory, in order.
    ///
    /// Reads files, so call it before serving, not while.
    ///
    /// - Parameter isContiguous: whether a missing number is an error. Only tests of a part say no.
    /// - Throws: ``PostgresError`` with code `migration` for a name that does not fit, a number given twice, or a gap.
    package static func load(directory: String, isContiguous: Bool = true) throws(PostgresError) -> [Migration] {
        var migrations: [Migration] = []
        do {
            for file in try FileManager.default.contentsOfDirectory(atPath: directory) where file.hasSuffix(".sql") {
                let sql = try String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8)
                migrations.append(try migration(file: file, sql: sql))
            }
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.migration, "migrations: cannot read \(directory)", underlying: error)
        }
        migrations.sort { $0.version < $1.version }
        for (index, migration) in migrations.enumerated() where index > 0 || isContiguous {
            let before = index > 0 ? migrations[index - 1].version : 0
            if migration.version == before {
                throw PostgresError(.migration, "migrations: the number \(before) is given twice")
            }
            if isContiguous, migration.version != before + 1 {
                throw PostgresError(.migration, "migrations: \(before + 1) is missing before \(migration.version)")
            }
        }
        return migrations
    }

    private static func migration(file: String, sql: String) throws(PostgresError) -> Migration {
        let stem = file.dropLast(4)
        let parts = stem.split(separator: "_", maxSplits: 1)
        guard parts.count == 2, parts[0].count == 4, let version = Int(parts[0]), version > 0 else {
            throw PostgresError(.migration, "migrations: \(file) is not named like 0001_accounts.sql")
        }
        return Migration(version: version, name: String(stem), sql: sql)
    }
}
