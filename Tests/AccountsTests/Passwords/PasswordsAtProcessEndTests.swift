import Accounts
import COpenSSL
import Glibc
import Testing

@Suite("The end of the process, for passwords")
struct PasswordsAtProcessEndTests {
    /// A command may end while a password is still being looked at.
    @Test("leaves OpenSSL to passwords still in work")
    func openSSLStays() async {
        await #expect(processExitsWith: .success) {
            // Handlers run last in, first out: this one after OpenSSL's, which is there only after its first use.
            atexit { if OPENSSL_init_crypto(UInt64(OPENSSL_INIT_ADD_ALL_DIGESTS), nil) == 0 { _exit(1) } }
            _ = PasswordHasher()
            // As the first hash does.
            try #require(OPENSSL_init_crypto(UInt64(OPENSSL_INIT_ADD_ALL_DIGESTS), nil) == 1)
        }
    }
}
