// What this room asks of OpenSSL's libcrypto (3.0 or later): algorithms fetched once per process, and one
// way to turn a refusal into a Fault. Invariant: the error queue of the calling thread is left empty.

import CLibCrypto
import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum LibCrypto {
    // The fetched objects are immutable and reference-counted by libcrypto, which documents them as safe to
    // share between threads; they live as long as the process. `nil`: no provider offers the algorithm.
    nonisolated(unsafe) static let aes256ECB = EVP_CIPHER_fetch(nil, "AES-256-ECB", nil)
    nonisolated(unsafe) static let aes256GCM = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
    nonisolated(unsafe) static let scrypt = EVP_KDF_fetch(nil, "SCRYPT", nil)

    /// Name of the parameter that carries an authentication tag; a C string that is never freed.
    nonisolated(unsafe) static let tagName = strdup(OSSL_CIPHER_PARAM_AEAD_TAG)

    /// The fault for a call that libcrypto refused although its arguments are right: an algorithm that no
    /// provider offers (a FIPS-only configuration), or no memory.
    static func fault(_ what: String) -> Fault {
        let code = ERR_peek_last_error()
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        ERR_clear_error()
        let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Fault(.io, "libcrypto refused \(what): \(code == 0 ? "no provider offers it" : reason)")
    }

    /// A context for a cipher and a direction, without a key. The caller frees it. Padding is left as it is: a context
    /// told to do without tells its cipher so again at each new key or IV.
    static func context(_ cipher: OpaquePointer?, isEncrypting: Int32) throws(Fault) -> OpaquePointer {
        guard cipher != nil, let context = EVP_CIPHER_CTX_new() else { throw fault("AES-256") }
        guard EVP_CipherInit_ex(context, cipher, nil, nil, nil, isEncrypting) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw fault("AES-256")
        }
        return context
    }

    static func check(_ result: Int32, _ what: StaticString) throws(Fault) {
        if result != 1 { throw fault("\(what)") }
    }
}

extension UnsafeRawBufferPointer {
    /// The base address for a C function; any valid address when the buffer is empty.
    @inline(__always)
    var cBase: UnsafePointer<UInt8> {
        UnsafePointer((baseAddress ?? LibCryptoEmpty.address).assumingMemoryBound(to: UInt8.self))
    }
}

private enum LibCryptoEmpty {
    // One byte that is never written, for C functions that want an address even for nothing.
    nonisolated(unsafe) static let address: UnsafeRawPointer = {
        let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        byte.initialize(to: 0)
        return UnsafeRawPointer(byte)
    }()
}
