// Ed25519 (RFC 8032) signatures for receipts and chain heads.

import CLibCrypto
import EventStoreCore

package enum Ed25519 {
    package static let publicKeyBytesCount = 32
    package static let signatureBytesCount = 64

    /// The public key of a 32-byte seed.
    package static func publicKey(seed: SecretKey) throws(Fault) -> [UInt8] {
        let key = try privateKey(seed)
        defer { EVP_PKEY_free(key) }
        var bytes = [UInt8](repeating: 0, count: publicKeyBytesCount)
        var count = publicKeyBytesCount
        try LibCrypto.check(EVP_PKEY_get_raw_public_key(key, &bytes, &count), "an Ed25519 public key")
        return bytes
    }

    /// The signature of `message`, 64 bytes; the same for the same seed and message.
    package static func sign(_ message: [UInt8], seed: SecretKey) throws(Fault) -> [UInt8] {
        let key = try privateKey(seed)
        defer { EVP_PKEY_free(key) }
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        try LibCrypto.check(EVP_DigestSignInit(context, nil, nil, nil, key), "an Ed25519 signature")
        var signature = [UInt8](repeating: 0, count: signatureBytesCount)
        var count = signatureBytesCount
        let result = message.withUnsafeBytes { EVP_DigestSign(context, &signature, &count, $0.cBase, $0.count) }
        try LibCrypto.check(result, "an Ed25519 signature")
        return signature
    }

    /// Whether `signature` is one of `message` under `publicKey`. Wrong lengths and bytes that are no key
    /// are simply not valid.
    package static func verify(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard signature.count == signatureBytesCount, publicKey.count == publicKeyBytesCount else { return false }
        defer { ERR_clear_error() }
        guard let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, publicKey.count) else {
            return false
        }
        defer { EVP_PKEY_free(key) }
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
        return message.withUnsafeBytes {
            EVP_DigestVerify(context, signature, signature.count, $0.cBase, $0.count) == 1
        }
    }

    private static func privateKey(_ seed: SecretKey) throws(Fault) -> OpaquePointer {
        let key = seed.withUnsafeBytes { EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, $0.cBase, $0.count) }
        guard let key else { throw LibCrypto.fault("an Ed25519 key") }
        return key
    }
}
