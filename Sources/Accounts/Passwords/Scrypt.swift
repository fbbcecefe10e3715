import COpenSSL

/// The three things that passwords need from OpenSSL. Each blocks its thread.
enum Scrypt {
    /// Derives the key of a password; takes `parameters.memoryBytes` and about half a second at the standard ones.
    ///
    /// - Source: OpenSSL 3, EVP_PBE_scrypt(3). Its own memory limit of 32 MiB is below the standard parameters,
    ///   so the limit is always passed.
    static func key(of password: [UInt8], salt: [UInt8], parameters: ScryptParameters) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: PasswordHash.keyByteCount)
        // Twice the table: the blocks of `p` and OpenSSL's own accounting come on top of it.
        let memoryLimit = UInt64(parameters.memoryBytes) * 2
        let characters = password.map { CChar(bitPattern: $0) }
        let outcome = unsafe characters.withUnsafeBufferPointer { characters in
            unsafe salt.withUnsafeBufferPointer { salt in
                unsafe key.withUnsafeMutableBufferPointer { key in
                    unsafe EVP_PBE_scrypt(
                        characters.baseAddress,
                        characters.count,
                        salt.baseAddress,
                        salt.count,
                        UInt64(1) << UInt64(parameters.logN),
                        UInt64(parameters.r),
                        UInt64(parameters.p),
                        memoryLimit,
                        key.baseAddress,
                        key.count
                    )
                }
            }
        }
        return outcome == 1 ? key : nil
    }

    /// Whether both are the same, in a time that depends on their length alone.
    static func areEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
        guard first.count == second.count else { return false }
        return unsafe first.withUnsafeBytes { first in
            unsafe second.withUnsafeBytes { second in
                unsafe CRYPTO_memcmp(first.baseAddress, second.baseAddress, first.count) == 0
            }
        }
    }

    /// Random bytes from OpenSSL's generator, or nil when it has no entropy.
    static func randomBytes(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let outcome = unsafe bytes.withUnsafeMutableBufferPointer { bytes in
            unsafe RAND_bytes(bytes.baseAddress, Int32(bytes.count))
        }
        return outcome == 1 ? bytes : nil
    }
}
