// scrypt (RFC 7914) turns a passphrase into a key. Invariants: parameters are bounded before any memory is
// taken; the working memory is freed (and cleansed, by libcrypto) before the call returns.

import CLibCrypto
import EventStoreCore

/// Cost of one derivation: 128 · N · r bytes of memory and time in proportion to N · r · p.
package struct ScryptParameters: Hashable, Sendable {
    /// N is 2 to this power.
    package let logN: UInt8
    package let r: UInt16
    package let p: UInt16

    /// What new passphrase slots get: N = 2^17, r = 8, p = 1; 128 MiB, about half a second.
    package static let standard = ScryptParameters(uncheckedLogN: 17, r: 8, p: 1)

    static let logNRange: ClosedRange<UInt8> = 10...23
    /// N · r at most: 1 GiB of memory.
    static let memoryUnitsMax = 1 << 23
    /// N · r · p at most: 16 times the standard work.
    static let workMax = 1 << 24

    private init(uncheckedLogN logN: UInt8, r: UInt16, p: UInt16) {
        self.logN = logN
        self.r = r
        self.p = p
    }

    /// Throws `limit` for parameters outside the bounds, so that a crafted file cannot ask for terabytes.
    package init(logN: UInt8, r: UInt16, p: UInt16) throws(Fault) {
        guard ScryptParameters.logNRange.contains(logN), r > 0, p > 0,
            Int(r) << logN <= ScryptParameters.memoryUnitsMax,
            (Int(r) * Int(p)) << logN <= ScryptParameters.workMax
        else { throw Fault(.limit, "scrypt parameters are outside the allowed bounds") }
        self.init(uncheckedLogN: logN, r: r, p: p)
    }

    var work: Int { (Int(r) * Int(p)) << logN }
    var memoryBytes: Int { (Int(r) << logN) * 128 }
}

/// Derives a 256-bit key from a passphrase. Takes 128 · N · r bytes of memory while it runs. Throws `io` when
/// libcrypto refuses: no memory, or a FIPS-only configuration, which has no scrypt.
package func scrypt(
    passphrase: SecretBytes, salt: [UInt8], parameters: ScryptParameters
) throws(Fault) -> SecretKey {
    guard let context = EVP_KDF_CTX_new(LibCrypto.scrypt) else { throw LibCrypto.fault("scrypt") }
    defer { EVP_KDF_CTX_free(context) }
    var n = UInt64(1) << UInt64(parameters.logN)
    var r = UInt32(parameters.r)
    var p = UInt32(parameters.p)
    // The blocks, one block per lane and some slack for the rest.
    var memoryMax = UInt64(parameters.memoryBytes + 128 * Int(parameters.r) * (Int(parameters.p) + 2) + (1 << 20))
    let derived = try SecretBytes(count: SecretKey.bytesCount) { target throws(Fault) in
        let result = passphrase.withUnsafeBytes { passphrase in
            salt.withUnsafeBytes { salt in
                // The names are literals with static storage: the parameter keeps only their address.
                let parameters = [
                    octets("pass", passphrase), octets("salt", salt),
                    OSSL_PARAM_construct_uint64(cName("n"), &n), OSSL_PARAM_construct_uint32(cName("r"), &r),
                    OSSL_PARAM_construct_uint32(cName("p"), &p),
                    OSSL_PARAM_construct_uint64(cName("maxmem_bytes"), &memoryMax), OSSL_PARAM_construct_end(),
                ]
                return EVP_KDF_derive(
                    context, target.baseAddress!.assumingMemoryBound(to: UInt8.self), target.count, parameters)
            }
        }
        try LibCrypto.check(result, "scrypt")
    }
    return SecretKey(derived)
}

private func cName(_ name: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
}

private func octets(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) -> OSSL_PARAM {
    OSSL_PARAM_construct_octet_string(cName(name), UnsafeMutablePointer(mutating: bytes.cBase), bytes.count)
}
