// Every number of the keyring file, shared by its reader and its writer. The page that describes the file is
// docs/format/keyring.md; a change here is a change there. Persisted values are explicit and never reused.

/// Constants of the keyring file, format version 1. Integers are little-endian.
package enum KeyringFormat {
    package static let version: UInt16 = 1
    /// "EVKEYRNG"
    package static let magic: [UInt8] = [0x45, 0x56, 0x4b, 0x45, 0x59, 0x52, 0x4e, 0x47]
    package static let storeIDBytes = 16

    /// File: header ‖ slots ‖ sealed body ‖ checksum.
    package enum Header {
        package static let magic = 0
        package static let version = magic + 8
        package static let slotCount = version + 2
        package static let reserved = slotCount + 2
        package static let storeID = reserved + 4
        package static let generation = storeID + storeIDBytes
        package static let bodyBytes = generation + 8
        package static let bodyNonce = bodyBytes + 8
        package static let end = bodyNonce + 24
    }

    /// One way to reach the master key.
    package enum Slot {
        package static let kind = 0
        package static let scryptLogN = kind + 1
        package static let scryptR = scryptLogN + 1
        package static let scryptP = scryptR + 2
        package static let reserved = scryptP + 2
        package static let id = reserved + 2
        package static let createdMs = id + 8
        package static let salt = createdMs + 8
        /// The bytes before this offset are authenticated with the wrapped key.
        package static let authenticatedEnd = salt + 32
        package static let wrapNonce = authenticatedEnd
        package static let wrapped = wrapNonce + 24
        package static let end = wrapped + 32 + 16
    }

    /// The body's plaintext: body header ‖ subkeys ‖ entity keys ‖ tombstones.
    package enum Body {
        package static let subkeyCount = 0
        package static let reserved = subkeyCount + 2
        package static let entityKeyCount = reserved + 2
        package static let tombstoneCount = entityKeyCount + 4
        package static let reserved2 = tombstoneCount + 4
        package static let end = reserved2 + 4
    }

    package enum Subkey {
        package static let purpose = 0
        package static let reserved = purpose + 2
        package static let key = reserved + 6
        package static let end = key + 32
    }

    package enum EntityKey {
        package static let id = 0
        package static let generation = id + 8
        package static let key = generation + 8
        package static let end = key + 32
    }

    package enum Tombstone {
        package static let id = 0
        package static let erasedMs = id + 8
        package static let reference = erasedMs + 8
        package static let end = reference + 32
    }

    package static let checksumBytes = 32
    package static let saltBytes = 32
    package static let tagBytes = 16
    package static let referenceBytes = 32
    /// Starts the additional data of a wrapped master key.
    package static let slotLabel = "eventstore keyring slot 1"

    package static let slotsMax = 16
    package static let entityKeysMax = 1 << 20
    package static let tombstonesMax = 1 << 20
    package static let bodyBytesMax =
        Body.end + KeyPurpose.allCases.count * Subkey.end + entityKeysMax * EntityKey.end
        + tombstonesMax * Tombstone.end
    package static let fileBytesMin = Header.end + Slot.end + Body.end + tagBytes + checksumBytes
    package static let fileBytesMax = Header.end + slotsMax * Slot.end + bodyBytesMax + tagBytes + checksumBytes
}

/// What a random subkey of the store is for. The raw value stands in the file.
package enum KeyPurpose: UInt16, CaseIterable, Sendable {
    /// Seals names of the store's vocabulary.
    case names = 1
    /// Blind tags: names and batch keys to look up without knowing them.
    case nameTags = 2
    /// Seals segment footers.
    case footers = 3
    /// MACs the audit chain.
    case audit = 4
    /// Seals or blinds credentials of sites.
    case credentials = 5
    /// Hashes log lines into event ids.
    case lineIDs = 6
    /// Seed of the Ed25519 key that signs receipts.
    case receipts = 7
    /// Wraps the vocabulary key of each segment.
    case segmentKeys = 8
}

/// Where the root key of a slot comes from. The raw value stands in the file.
package enum KeySlotKind: UInt8, CaseIterable, Sendable {
    case keyFile = 1
    case passphrase = 2
    case environment = 3
    case command = 4

    package var name: String {
        switch self {
        case .keyFile: "key file"
        case .passphrase: "passphrase"
        case .environment: "environment"
        case .command: "command"
        }
    }
}

/// The mark of an erased entity key.
package struct KeyTombstone: Hashable, Sendable {
    package let id: UInt64
    package let erasedMs: Int64
    /// 32 bytes of the caller's, e.g. the hash of the receipt.
    package let reference: [UInt8]

    package init(id: UInt64, erasedMs: Int64, reference: [UInt8]) {
        precondition(reference.count == KeyringFormat.referenceBytes, "a tombstone's reference is 32 bytes")
        self.id = id
        self.erasedMs = erasedMs
        self.reference = reference
    }
}
