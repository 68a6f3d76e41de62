// A slot of the keyring: the master key wrapped under a root key. Holds no secret in clear.
// Format: docs/format/keyring.md, section "Slot".

import EventStoreCore

/// What opens a slot: a raw key (from a file, the environment or a command) or a passphrase.
package enum RootSecret: Sendable {
    /// The kind labels the slot made with it, and says which slots to try first; `passphrase` is no label for a key.
    case key(SecretKey, KeySlotKind)
    case passphrase(SecretBytes)

    package var kind: KeySlotKind {
        switch self {
        case .key(_, let kind): kind
        case .passphrase: .passphrase
        }
    }

    /// Whether it can open slots of that kind at all.
    func fits(_ slot: KeySlotKind) -> Bool {
        (slot == .passphrase) == (kind == .passphrase)
    }
}

/// What may be known of a slot without a key.
package struct KeySlotInfo: Hashable, Sendable {
    package let id: UInt64
    package let kind: KeySlotKind
    package let createdMs: Int64
}

struct KeyringSlot: Sendable {
    private typealias Offset = KeyringFormat.Slot

    let info: KeySlotInfo
    /// Only of passphrase slots.
    let parameters: ScryptParameters?
    /// The slot as it stands in the file.
    let bytes: [UInt8]

    /// Decodes the slot and checks everything that can be checked without a key.
    init(decoding bytes: UnsafeRawBufferPointer) throws(Fault) {
        var reader = ByteReader(bytes)
        guard bytes.count == Offset.end, let kind = KeySlotKind(rawValue: try reader.u8()) else {
            throw Fault(.damaged, "a keyring slot is of no known kind")
        }
        let logN = try reader.u8()
        let r = try reader.u16()
        let p = try reader.u16()
        let reserved = try reader.u16()
        let id = try reader.u64()
        let createdMs = Int64(bitPattern: try reader.u64())
        let salt = try reader.raw(KeyringFormat.saltBytes)
        if kind == .passphrase {
            parameters = try ScryptParameters(logN: logN, r: r, p: p)
        } else {
            guard logN == 0, r == 0, p == 0, salt.allSatisfy({ $0 == 0 }) else {
                throw Fault(.damaged, "a keyring slot without passphrase has scrypt parameters")
            }
            parameters = nil
        }
        guard reserved == 0, id != 0 else { throw Fault(.damaged, "a keyring slot does not decode") }
        info = KeySlotInfo(id: id, kind: kind, createdMs: createdMs)
        self.bytes = [UInt8](bytes)
    }

    /// Makes a slot that `secret` opens. With a passphrase it costs one scrypt derivation.
    init(
        wrapping master: SecretKey, under secret: RootSecret, storeID: [UInt8], scrypt parameters: ScryptParameters,
        _ environment: Environment
    ) throws(Fault) {
        var salt = [UInt8](repeating: 0, count: KeyringFormat.saltBytes)
        if secret.kind == .passphrase { salt = environment.random(salt.count) }
        let used = secret.kind == .passphrase ? parameters : nil
        var id: UInt64 = 0
        while id == 0 { id = environment.randomInteger() }
        info = KeySlotInfo(id: id, kind: secret.kind, createdMs: environment.nowMs())
        self.parameters = used
        var writer = ByteWriter(reserving: Offset.end)
        writer.u8(info.kind.rawValue)
        writer.u8(used?.logN ?? 0)
        writer.integer(used?.r ?? 0)
        writer.integer(used?.p ?? 0)
        writer.integer(UInt16(0))
        writer.integer(info.id)
        writer.integer(info.createdMs)
        writer.raw(salt)
        let root = try KeyringSlot.rootKey(secret, salt: salt, parameters: used)
        let aad = KeyringSlot.additionalData(writer.bytes, storeID)
        let context = XAESContext()
        let box = try aad.withBytes { (aad) throws(Fault) in
            try master.withUnsafeBytes { (master) throws(Fault) in
                try context.sealBox(key: root, aad: aad, plain: master, environment)
            }
        }
        writer.raw(box)
        bytes = writer.bytes
    }

    /// The master key, or `nil` when `secret` is not the one of this slot.
    func unwrap(_ secret: RootSecret, storeID: [UInt8]) throws(Fault) -> SecretKey? {
        guard secret.fits(info.kind) else { return nil }
        let salt = [UInt8](bytes[Offset.salt..<Offset.authenticatedEnd])
        let root = try KeyringSlot.rootKey(secret, salt: salt, parameters: parameters)
        let aad = KeyringSlot.additionalData([UInt8](bytes[..<Offset.authenticatedEnd]), storeID)
        let box = [UInt8](bytes[Offset.wrapNonce...])
        let context = XAESContext()
        do throws(Fault) {
            return SecretKey(
                try SecretBytes(count: SecretKey.bytesCount) { (target) throws(Fault) in
                    try aad.withBytes { (aad) throws(Fault) in
                        try box.withBytes { (box) throws(Fault) in
                            try context.openBox(key: root, aad: aad, box: box, into: target)
                        }
                    }
                })
        } catch {
            if error.code == .tampered { return nil }
            throw error
        }
    }

    private static func rootKey(
        _ secret: RootSecret, salt: [UInt8], parameters: ScryptParameters?
    ) throws(Fault) -> SecretKey {
        switch secret {
        case .key(let key, _): return key
        case .passphrase(let passphrase):
            return try scrypt(passphrase: passphrase, salt: salt, parameters: parameters ?? .standard)
        }
    }

    private static func additionalData(_ slot: [UInt8], _ storeID: [UInt8]) -> [UInt8] {
        Array(KeyringFormat.slotLabel.utf8) + storeID + slot
    }
}

extension Environment {
    func randomInteger() -> UInt64 {
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) { randomBytes($0) }
        return value
    }
}
