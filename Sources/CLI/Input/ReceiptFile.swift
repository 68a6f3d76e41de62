/// Signed texts as files and objects: receipts of erasure, heads of the audit chain. JSON with the text as it was
/// signed, and signature and public key as hexadecimal.

import EventStore
import Foundation

package struct SignedText: Equatable, Sendable {
    package var text: String
    package var signature: [UInt8]
    package var publicKey: [UInt8]

    package init(text: String, signature: [UInt8], publicKey: [UInt8]) {
        self.text = text
        self.signature = signature
        self.publicKey = publicKey
    }

    package init(_ receipt: ErasureReceipt) {
        self.init(text: receipt.text, signature: receipt.signature, publicKey: receipt.publicKey)
    }

    package init(_ head: AuditHead) {
        self.init(text: head.text, signature: head.signature, publicKey: head.publicKey)
    }

    package var json: JSONValue {
        .object([
            ("text", .string(text)), ("signature", .string(HexText.text(signature))),
            ("publicKey", .string(HexText.text(publicKey))),
        ])
    }

    /// Signed by this key, or by the one that comes with it.
    package func isValid(publicKey expected: [UInt8]?) -> Bool {
        ErasureReceipt(text: text, signature: signature, publicKey: publicKey).isValid(publicKey: expected)
    }

    /// `nil` when it is no such object.
    package init?(parsing data: Data) {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            let text = object["text"] as? String,
            let signature = (object["signature"] as? String).flatMap({ HexText.bytes($0) }), signature.count == 64,
            let key = (object["publicKey"] as? String).flatMap({ HexText.bytes($0) }), key.count == 32
        else { return nil }
        self.init(text: text, signature: signature, publicKey: key)
    }

    package static func read(_ path: String) throws -> SignedText {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CLIFailure(code: "not-found", message: "no file at \(path) that can be read")
        }
        guard let signed = SignedText(parsing: data) else {
            throw CLIFailure(
                code: "damaged", message: "\(path) holds no signed text: an object of text, signature and publicKey",
                exitCode: CLIFailure.inputRefused)
        }
        return signed
    }

    /// Fields of the text itself, which is JSON.
    package var facts: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
    }
}

package enum HexText {
    package static func text(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// `nil` when it is not pairs of hexadecimal digits.
    package static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
    }
}

/// A file made before the work whose result it will hold, so that the result of what cannot be done again is not lost.
struct ResultFile {
    let path: String
    private let descriptor: Int32

    init(making path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        self.path = path
        guard descriptor >= 0 else {
            let code =
                errno == EEXIST ? "exists" : errno == EACCES ? "permission" : errno == ENOENT ? "not-found" : "io"
            throw CLIFailure(code: code, message: "cannot make \(path): \(String(cString: strerror(errno)))")
        }
    }

    func write(_ text: String) throws {
        defer { close(descriptor) }
        let output = Output(descriptor: descriptor)
        try output.write(text)
        try output.flush()
        guard fsync(descriptor) == 0 else {
            throw CLIFailure(code: "io", message: "cannot sync \(path): \(String(cString: strerror(errno)))")
        }
    }

    func discard() {
        close(descriptor)
        unlink(path)
    }
}
