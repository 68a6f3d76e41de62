#pragma once
// SHA-256 is used through SHA256_Init/Update/Final besides EVP: keyed line hashes start from two saved
// states, and copying a plain struct allocates nothing, while duplicating an EVP context does. OpenSSL 3
// marks these functions as deprecated in favour of EVP.
#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
