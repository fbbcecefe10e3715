import COpenSSL
import Glibc
import Logging
import Postgres
import Testing

@Suite("The end of the process, for connections")
struct ConnectionsAtProcessEndTests {
    /// Threads of connections end, and clean up after OpenSSL, while the process does.
    @Test("leaves OpenSSL to threads that still use it")
    func openSSLStays() async {
        await #expect(processExitsWith: .success) {
            // Handlers run last in, first out: this one after OpenSSL's, which is there only after its first use.
            atexit { if OPENSSL_init_crypto(UInt64(OPENSSL_INIT_ADD_ALL_DIGESTS), nil) == 0 { _exit(1) } }
            let nowhere = try PostgresConfiguration(url: "postgresql://127.0.0.1:1/nowhere")
            _ = try? await PostgresConnection.connect(configuration: nowhere, logger: Logger(label: "test"))
            // As libpq does for a password or TLS.
            try #require(OPENSSL_init_crypto(UInt64(OPENSSL_INIT_ADD_ALL_DIGESTS), nil) == 1)
        }
    }
}
