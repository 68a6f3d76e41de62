// The keyring's bytes as a whole: header, slots, sealed body, checksum. Format: docs/format/keyring.md.
//
// What each check tells apart: the checksum finds rot and truncation (`damaged`) before any key is tried;
// a slot that does not open is `wrongKey`; a body that does not authenticate under the right master is
// `tampered`; a newer version is `tooNew`.

import EventStoreCore

struct KeyringFile: Sendable {
    private typealias Offset = KeyringFormat.Header

    let storeID: [UInt8]
    let generation: UInt64
    let slots: [KeyringSlot]
    /// The whole file.
    let bytes: [UInt8]

    /// The header names the content: the nonce in it is drawn anew for each rewrite.
    var header: [UInt8] { [UInt8](bytes[..<Offset.end]) }
    static let headerBytes = Offset.end

    private var slotsEnd: Int { Offset.end + slots.count * KeyringFormat.Slot.end }

    // MARK: Decoding

    /// Decodes and checks all that needs no key.
    init(decoding bytes: [UInt8]) throws(Fault) {
        let parsed = try bytes.withBytes { (all) throws(Fault) in try KeyringFile.parse(all) }
        (storeID, generation, slots) = parsed
        self.bytes = bytes
    }

    private static func parse(
        _ all: UnsafeRawBufferPointer
    ) throws(Fault) -> (storeID: [UInt8], generation: UInt64, slots: [KeyringSlot]) {
        try checkEnvelope(all)
        var reader = ByteReader(all)
        try reader.seek(to: Offset.slotCount)
        let slotCount = Int(try reader.u16())
        let reserved = try reader.u32()
        let storeID = [UInt8](try reader.raw(KeyringFormat.storeIDBytes))
        let generation = try reader.u64()
        let bodyBytes = try reader.u64()
        try reader.seek(to: Offset.end)
        let fixed =
            Offset.end + slotCount * KeyringFormat.Slot.end + KeyringFormat.tagBytes + KeyringFormat.checksumBytes
        guard reserved == 0, generation > 0, (1...KeyringFormat.slotsMax).contains(slotCount),
            bodyBytes <= UInt64(KeyringFormat.bodyBytesMax), all.count == fixed + Int(bodyBytes)
        else { throw Fault(.damaged, "the keyring's header does not decode") }
        var slots: [KeyringSlot] = []
        for _ in 0..<slotCount { slots.append(try KeyringSlot(decoding: try reader.raw(KeyringFormat.Slot.end))) }
        try checkWork(slots.map(\.parameters))
        return (storeID, generation, slots)
    }

    /// Magic, checksum, version: the three that every version of the format keeps where they are.
    private static func checkEnvelope(_ all: UnsafeRawBufferPointer) throws(Fault) {
        guard all.count >= KeyringFormat.fileBytesMin, all.prefix(8).elementsEqual(KeyringFormat.magic) else {
            throw Fault(.damaged, "this is not a keyring, or it is cut short; restore it from the key backup")
        }
        let end = all.count - KeyringFormat.checksumBytes
        guard sha256(UnsafeRawBufferPointer(rebasing: all[..<end])).elementsEqual(all[end...]) else {
            throw Fault(.damaged, "the keyring's checksum does not match; restore it from the key backup")
        }
        let version = all.loadUnaligned(fromByteOffset: Offset.version, as: UInt16.self).littleEndian
        guard version >= 1 else { throw Fault(.damaged, "the keyring has no format version") }
        guard version <= KeyringFormat.version else {
            throw Fault(.tooNew, "the keyring has format version \(version), this program reads up to 1; update it")
        }
    }

    /// Bounds the work of trying all passphrase slots, not only that of each.
    static func checkWork(_ parameters: [ScryptParameters?]) throws(Fault) {
        let work = parameters.reduce(0) { $0 + ($1?.work ?? 0) }
        guard work <= ScryptParameters.workMax else {
            throw Fault(.limit, "the keyring's passphrase slots together ask for more scrypt work than allowed")
        }
    }

    // MARK: Opening

    /// The master key. Tries the slots `secret` fits, those of its own kind first. Throws `wrongKey` when
    /// none opens.
    func unlock(_ secret: RootSecret) throws(Fault) -> SecretKey {
        let fitting = slots.filter { secret.fits($0.info.kind) }
        for slot in fitting.filter({ $0.info.kind == secret.kind }) + fitting.filter({ $0.info.kind != secret.kind }) {
            if let master = try slot.unwrap(secret, storeID: storeID) { return master }
        }
        let kinds = Set(slots.map(\.info.kind)).map(\.name).sorted().joined(separator: ", ")
        throw Fault(.wrongKey, "the \(secret.kind.name) given does not open this store (its slots: \(kinds))")
    }

    /// The body under `master`. Throws `tampered` when it, the header or a slot was changed since.
    func openBody(_ master: SecretKey) throws(Fault) -> KeyringBody {
        let sealedEnd = bytes.count - KeyringFormat.checksumBytes
        let count = sealedEnd - slotsEnd - KeyringFormat.tagBytes
        let context = XAESContext()
        do throws(Fault) {
            let plain = try SecretBytes(count: count) { (target) throws(Fault) in
                try bytes.withBytes { (all) throws(Fault) in
                    try context.open(
                        key: master,
                        nonce: UnsafeRawBufferPointer(rebasing: all[Offset.bodyNonce..<Offset.end]),
                        aad: UnsafeRawBufferPointer(rebasing: all[..<slotsEnd]),
                        sealed: UnsafeRawBufferPointer(rebasing: all[slotsEnd..<sealedEnd]), into: target)
                }
            }
            return try KeyringBody(decoding: plain)
        } catch {
            guard error.code == .tampered else { throw error }
            throw Fault(.tampered, "the keyring was changed outside the store; restore it from the key backup")
        }
    }

    // MARK: Encoding

    /// Seals a body into a file.
    init(
        storeID: [UInt8], generation: UInt64, slots: [KeyringSlot], body: KeyringBody, master: SecretKey,
        _ environment: Environment
    ) throws(Fault) {
        precondition(storeID.count == KeyringFormat.storeIDBytes && (1...KeyringFormat.slotsMax).contains(slots.count))
        try KeyringFile.checkWork(slots.map(\.parameters))
        let bodyBytes = body.bytes.count
        var writer = ByteWriter(reserving: Offset.end + slots.count * KeyringFormat.Slot.end + bodyBytes + 64)
        writer.raw(KeyringFormat.magic)
        writer.integer(KeyringFormat.version)
        writer.integer(UInt16(slots.count))
        writer.integer(UInt32(0))
        writer.raw(storeID)
        writer.integer(generation)
        writer.integer(UInt64(bodyBytes))
        let nonce = environment.random(XAESContext.nonceBytes)
        writer.raw(nonce)
        for slot in slots { writer.raw(slot.bytes) }
        let aad = writer.bytes
        var sealed = [UInt8](repeating: 0, count: bodyBytes + KeyringFormat.tagBytes)
        let context = XAESContext()
        try sealed.withMutableBytes { (sealed) throws(Fault) in
            try aad.withBytes { (aad) throws(Fault) in
                try nonce.withBytes { (nonce) throws(Fault) in
                    try body.bytes.withUnsafeBytes { (plain) throws(Fault) in
                        try context.seal(key: master, nonce: nonce, aad: aad, plain: plain, into: sealed)
                    }
                }
            }
        }
        writer.raw(sealed)
        writer.raw(sha256(writer.bytes))
        self.storeID = storeID
        self.generation = generation
        self.slots = slots
        bytes = writer.bytes
    }
}
