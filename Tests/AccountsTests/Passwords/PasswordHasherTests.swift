import Testing

@testable import Accounts

@Suite struct PasswordHasherTests {
    let cheap = PasswordHasher(parameters: .cheapForTests)

    @Test("The password that was stored is right, and another is wrong")
    func verifies() async throws {
        let phc = try await cheap.hash("correct horse")
        #expect(try await cheap.verify("correct horse", against: phc) == .right(needsRehash: false))
        #expect(try await cheap.verify("correct horsf", against: phc) == .wrong)
        #expect(try await cheap.verify("", against: phc) == .wrong)
    }

    @Test("Today's parameters make a hash that names them and verifies")
    func standardParameters() async throws {
        let hasher = PasswordHasher()
        let phc = try await hasher.hash("correct horse")
        #expect(phc.hasPrefix("$scrypt$ln=17,r=8,p=1$"))
        #expect(try await hasher.verify("correct horse", against: phc) == .right(needsRehash: false))
    }

    @Test("A hash of other parameters verifies and asks to be made anew")
    func rehash() async throws {
        let phc = try await cheap.hash("correct horse")
        let other = try #require(ScryptParameters(checking: 11, r: 8, p: 1))
        let dearer = PasswordHasher(parameters: other)
        #expect(try await dearer.verify("correct horse", against: phc) == .right(needsRehash: true))
    }

    @Test("Two hashes of one password differ in their salt")
    func salted() async throws {
        #expect(try await cheap.hash("correct horse") != cheap.hash("correct horse"))
    }

    @Test("One word typed as composed or combining characters is one password")
    func normalised() async throws {
        let phc = try await cheap.hash("caf\u{E9} noir")
        #expect(try await cheap.verify("cafe\u{301} noir", against: phc) == .right(needsRehash: false))
    }

    @Test(
        "What is no hash matches nothing",
        arguments: [nil, "", "!", "$scrypt$ln=40,r=8,p=1$AAAA$AAAA", "$bcrypt$x$y$z"]
    )
    func unreadable(phc: String?) async throws {
        #expect(try await cheap.verify("correct horse", against: phc) == .wrong)
    }

    @Test("The OpenSSL derivation is scrypt of RFC 7914, section 12")
    func knownAnswer() throws {
        let parameters = try #require(ScryptParameters(checking: 10, r: 8, p: 16))
        let key = Scrypt.key(of: Array("password".utf8), salt: Array("NaCl".utf8), parameters: parameters)
        #expect(key?.prefix(8) == [0xFD, 0xBA, 0xBE, 0x1C, 0x9D, 0x34, 0x72, 0x00])
    }

    @Test("A PHC string survives a round trip")
    func roundTrip() throws {
        let hash = PasswordHash(
            parameters: .standard,
            salt: Array(0..<16),
            key: [UInt8](repeating: 0xFF, count: 32)
        )
        #expect(PasswordHash(phc: hash.phc) == hash)
    }
}

@Suite struct HashingQueueTests {
    @Test("Past the end of the line a caller is turned away at once")
    func bounded() async throws {
        let hasher = PasswordHasher(parameters: .cheapForTests, threads: 1, maxWaiting: 0)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<40 {
                group.addTask {
                    do {
                        _ = try await hasher.hash("correct horse")
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.contains(true))
        #expect(outcomes.count == 40)
        // The line works on after it was full.
        #expect(try await hasher.hash("correct horse").isEmpty == false)
    }

    @Test("Everyone in line is served")
    func served() async throws {
        let hasher = PasswordHasher(parameters: .cheapForTests, threads: 2, maxWaiting: 64)
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<50 { group.addTask { try await hasher.hash("correct horse") } }
            var count = 0
            for try await _ in group { count += 1 }
            #expect(count == 50)
        }
    }
}
