#pragma once
// scrypt (EVP_PBE_scrypt), random bytes and constant-time comparison.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
