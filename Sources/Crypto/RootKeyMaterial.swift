// Root keys and passphrases from outside: key files, environment variables, the output of a command. Content
// goes from the source into secret memory and is parsed there; no String or Array holds any of it.

import CLibCrypto
import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package enum RootKeyMaterial {
    /// Longest content read from any source.
    package static let contentBytesMax = 4096

    // MARK: Meaning of content

    /// A key as it is written down: 32 raw bytes, 64 hex digits, or base64 (both alphabets, padding optional)
    /// of 32 bytes; one newline may follow. Exactly 32 bytes are always taken as raw. Throws `invalid`.
    package static func key(from content: SecretBytes) throws(Fault) -> SecretKey {
        try content.withUnsafeBytes { (all) throws(Fault) in
            if all.count == SecretKey.bytesCount { return SecretKey(copying: all) }
            let text = withoutNewline(all)
            switch text.count {
            case SecretKey.bytesCount: return SecretKey(copying: text)
            case 64: return SecretKey(try SecretBytes(count: 32) { (t) throws(Fault) in try decodeHex(text, t) })
            case 43, 44: return SecretKey(try SecretBytes(count: 32) { (t) throws(Fault) in try decodeBase64(text, t) })
            default: throw invalidKey()
            }
        }
    }

    /// A passphrase as it is written down; one newline may follow. Throws `invalid` when it is empty.
    package static func passphrase(from content: SecretBytes) throws(Fault) -> SecretBytes {
        try content.withUnsafeBytes { (all) throws(Fault) in
            let text = withoutNewline(all)
            guard !text.isEmpty, text.count <= contentBytesMax else {
                throw Fault(.invalid, "the passphrase is empty or longer than \(contentBytesMax) bytes")
            }
            return SecretBytes(copying: text)
        }
    }

    private static func withoutNewline(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var count = bytes.count
        if count > 0, bytes[count - 1] == 0x0a { count -= 1 }
        if count > 0, count < bytes.count, bytes[count - 1] == 0x0d { count -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[..<count])
    }

    private static func invalidKey() -> Fault {
        Fault(.invalid, "a key is 32 raw bytes, 64 hex digits or base64 of 32 bytes; this is none of them")
    }

    private static func decodeHex(
        _ text: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        var bad = false
        func digit(_ byte: UInt8) -> UInt8 {
            switch byte {
            case 0x30...0x39: return byte - 0x30
            case 0x41...0x46: return byte - 0x41 + 10
            case 0x61...0x66: return byte - 0x61 + 10
            default:
                bad = true
                return 0
            }
        }
        for index in target.indices { target[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]) }
        if bad { throw invalidKey() }
    }

    private static func decodeBase64(
        _ text: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        if text.count == 44, text[43] != 0x3d { throw invalidKey() }
        var bits: UInt32 = 0
        var bitsCount: UInt32 = 0
        var filled = 0
        for position in 0..<43 {
            guard let value = base64Value(text[position]) else { throw invalidKey() }
            bits = bits << 6 | UInt32(value)
            bitsCount += 6
            guard bitsCount >= 8 else { continue }
            bitsCount -= 8
            target[filled] = UInt8(truncatingIfNeeded: bits >> bitsCount)
            filled += 1
        }
        // 43 digits are 258 bits: 32 bytes and 2 bits that must be zero.
        if bits & 3 != 0 { throw invalidKey() }
    }

    private static func base64Value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5a: byte - 0x41
        case 0x61...0x7a: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2b, 0x2d: 62
        case 0x2f, 0x5f: 63
        default: nil
        }
    }

    // MARK: Making keys

    /// The key as 64 hex digits and a newline: what a key file holds.
    package static func hexLine(_ key: SecretKey) -> SecretBytes {
        SecretBytes(count: 2 * SecretKey.bytesCount + 1) { target in
            key.withUnsafeBytes { key in
                for (index, byte) in key.enumerated() {
                    target[2 * index] = hexDigit(byte >> 4)
                    target[2 * index + 1] = hexDigit(byte & 15)
                }
            }
            target[target.count - 1] = 0x0a
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    /// Writes a key file that must not exist yet, mode 0600, and makes it durable. Throws `exists`.
    package static func createKeyFile(_ path: String, key: SecretKey, environment: Environment) throws(Fault) {
        let line = hexLine(key)
        let handle = try environment.files.create(path)
        defer { handle.close() }
        try line.withUnsafeBytes { (bytes) throws(Fault) in try handle.write(bytes, at: 0) }
        try handle.sync()
        try environment.files.syncDirectory(Path.parent(path))
    }

    // MARK: Sources of content

    /// The content of a file. `isExposed`: users other than the owner may read it, which deserves a warning.
    package static func readFile(
        _ path: String, environment: Environment
    ) throws(Fault) -> (content: SecretBytes, isExposed: Bool) {
        do throws(Fault) {
            let handle = try environment.files.openForReading(path)
            defer { handle.close() }
            let size = try handle.size()
            guard size <= contentBytesMax else {
                throw Fault(.invalid, "a key file has \(contentBytesMax) bytes at most")
            }
            let content = try SecretBytes(count: size) { (target) throws(Fault) in
                try handle.read(into: target, at: 0)
            }
            let status = try environment.files.status(withoutLinks(path))
            return (content, status.map { $0.mode & 0o077 != 0 } ?? false)
        } catch {
            throw error.at(file: path)
        }
    }

    /// The mode that counts is that of the file a link leads to (secrets are often mounted as links).
    private static func withoutLinks(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The value of an environment variable. Throws `notFound` when it is not set.
    package static func readEnvironment(_ name: String) throws(Fault) -> SecretBytes {
        guard let value = getenv(name) else {
            throw Fault(.notFound, "the environment variable \(name) is not set")
        }
        let count = strlen(value)
        guard count <= contentBytesMax else {
            throw Fault(.invalid, "the environment variable \(name) has more than \(contentBytesMax) bytes")
        }
        return SecretBytes(copying: UnsafeRawBufferPointer(start: value, count: count))
    }
}

extension RootSecret {
    /// The key in a file, and whether others than its owner may read the file.
    package static func keyFile(
        _ path: String, environment: Environment
    ) throws(Fault) -> (secret: RootSecret, isExposed: Bool) {
        let (content, isExposed) = try RootKeyMaterial.readFile(path, environment: environment)
        do throws(Fault) {
            return (.key(try RootKeyMaterial.key(from: content), .keyFile), isExposed)
        } catch {
            throw error.at(file: path)
        }
    }

    /// The key in an environment variable.
    package static func environment(variable name: String) throws(Fault) -> RootSecret {
        .key(try RootKeyMaterial.key(from: try RootKeyMaterial.readEnvironment(name)), .environment)
    }

    /// The key that a command prints; see `RootKeyMaterial.runCommand`.
    package static func command(_ command: String) throws(Fault) -> RootSecret {
        .key(try RootKeyMaterial.key(from: try RootKeyMaterial.runCommand(command)), .command)
    }
}
