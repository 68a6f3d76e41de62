// Nonce, additional data and the two operations on a pack: seal what is to be written, open what was read.

import EventStoreCore

/// What names a pack within its store and how it was made: all of it is authenticated.
struct PackIdentity {
    var segment: SegmentID
    var key: PackKey
    var keyID: UInt64
    /// First word of the counter: an entity number, or one of the reserved owners.
    var owner: UInt32
    var block: UInt32
    var pack: UInt32
    var rows: Int

    static func entity(
        _ entity: UInt32, keyID: UInt64, segment: SegmentID, block: Int, pack: Int, rows: Int
    ) -> PackIdentity {
        PackIdentity(
            segment: segment, key: .entity(entity, keyID: keyID), keyID: keyID, owner: entity,
            block: UInt32(truncatingIfNeeded: block), pack: UInt32(truncatingIfNeeded: pack), rows: rows)
    }

    static func directory(_ segment: SegmentID) -> PackIdentity {
        PackIdentity(
            segment: segment, key: .directory, keyID: 0, owner: SegmentFormat.directoryOwner, block: 0, pack: 0,
            rows: 0)
    }

    static func vocabulary(_ segment: SegmentID, pack: Int) -> PackIdentity {
        PackIdentity(
            segment: segment, key: .vocabulary, keyID: 0, owner: SegmentFormat.vocabularyOwner, block: 0,
            pack: UInt32(truncatingIfNeeded: pack), rows: 0)
    }
}

enum PackSealing {
    private typealias Field = SegmentFormat.AdditionalData

    /// Appends ciphertext and tag to `sink`; returns their length.
    @discardableResult
    static func seal(
        _ bytes: UnsafeRawBufferPointer, _ identity: PackIdentity, codec: PackCodec, rawLength: Int,
        header: UnsafeRawBufferPointer? = nil, sealer: any BlockSealer, into sink: inout ByteSink
    ) throws(Fault) -> Int {
        let length = bytes.count + SegmentFormat.tagBytes
        let target = UnsafeMutableRawBufferPointer(start: sink.extend(length), count: length)
        try withEnvelope(identity, codec, rawLength, header) { nonce, aad throws(Fault) in
            try sealer.seal(identity.key, nonce: nonce, aad: aad, plain: bytes, into: target)
        }
        return length
    }

    /// Opens ciphertext and tag into `target`, which is `tagBytes` shorter.
    static func open(
        _ sealed: UnsafeRawBufferPointer, _ identity: PackIdentity, codec: PackCodec, rawLength: Int,
        header: UnsafeRawBufferPointer? = nil, sealer: any BlockSealer, into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        try withEnvelope(identity, codec, rawLength, header) { nonce, aad throws(Fault) in
            try sealer.open(identity.key, nonce: nonce, aad: aad, sealed: sealed, into: target)
        }
    }

    private static func withEnvelope(
        _ identity: PackIdentity, _ codec: PackCodec, _ rawLength: Int, _ header: UnsafeRawBufferPointer?,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(Fault) -> Void
    ) throws(Fault) {
        // Nonce and additional data side by side on the stack.
        let bytes = SegmentFormat.nonceBytes + Field.byteCount + SegmentFormat.Header.byteCount
        var failure: Fault?
        withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 8) { memory in
            guard let nonce = memory.baseAddress else { return }
            fillNonce(identity, nonce)
            let aad = nonce + SegmentFormat.nonceBytes
            fillAdditionalData(identity, codec, rawLength, aad)
            var length = Field.byteCount
            if let header, let start = header.baseAddress {
                precondition(header.count == SegmentFormat.Header.byteCount)
                (aad + length).copyMemory(from: start, byteCount: header.count)
                length += header.count
            }
            do throws(Fault) {
                try body(
                    UnsafeRawBufferPointer(start: nonce, count: SegmentFormat.nonceBytes),
                    UnsafeRawBufferPointer(start: aad, count: length))
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private static func fillNonce(_ identity: PackIdentity, _ target: UnsafeMutableRawPointer) {
        identity.segment.write(to: target)
        target.storeBytes(of: identity.owner.littleEndian, toByteOffset: 12, as: UInt32.self)
        target.storeBytes(of: identity.block.littleEndian, toByteOffset: 16, as: UInt32.self)
        target.storeBytes(of: identity.pack.littleEndian, toByteOffset: 20, as: UInt32.self)
    }

    private static func fillAdditionalData(
        _ identity: PackIdentity, _ codec: PackCodec, _ rawLength: Int, _ target: UnsafeMutableRawPointer
    ) {
        target.storeBytes(of: SegmentFormat.version.littleEndian, toByteOffset: Field.version, as: UInt16.self)
        identity.segment.write(to: target + Field.segmentID)
        target.storeBytes(of: identity.keyID.littleEndian, toByteOffset: Field.keyID, as: UInt64.self)
        target.storeBytes(of: identity.block.littleEndian, toByteOffset: Field.block, as: UInt32.self)
        target.storeBytes(of: identity.pack.littleEndian, toByteOffset: Field.pack, as: UInt32.self)
        target.storeBytes(of: codec.rawValue, toByteOffset: Field.codec, as: UInt8.self)
        let rows = UInt32(truncatingIfNeeded: identity.rows)
        target.storeBytes(of: rows.littleEndian, toByteOffset: Field.rows, as: UInt32.self)
        let raw = UInt32(truncatingIfNeeded: rawLength)
        target.storeBytes(of: raw.littleEndian, toByteOffset: Field.rawLength, as: UInt32.self)
    }
}
