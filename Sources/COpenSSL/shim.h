#pragma once
// scrypt (EVP_PBE_scrypt), random bytes and constant-time comparison.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/// Leaves OpenSSL's globals where they are when the process ends. By itself OpenSSL frees them in exit(), and a thread
/// that ends or still uses it at that moment (libpq's do both) crashes the process. Whoever uses OpenSSL calls this
/// first: only the first initialisation decides. Source: OPENSSL_init_crypto(3), OPENSSL_INIT_NO_ATEXIT.
static inline void openssl_keep_until_process_ends(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
