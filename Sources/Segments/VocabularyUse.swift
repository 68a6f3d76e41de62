// Which values of a segment's vocabulary some of its blocks use, found out from the numbers in their columns alone.

import EventStoreCore

/// The numbers of shared values met so far, by attribute.
struct VocabularyUse {
    private var used: [UInt32: [Bool]] = [:]

    var attributes: [UInt32] { used.keys.sorted() }

    /// Whether a column has numbers of shared values. Its descriptor was measured before.
    static func mayUse(_ slot: ColumnSlot, _ block: BlockState) -> Bool {
        guard slot.key.holdsText else { return false }
        let tag = block.directory[Int(slot.descriptor)]
        return tag & StringCodec.sharedFlag != 0 || tag & 3 == StringColumnForm.direct.rawValue
    }

    mutating func note(_ slot: ColumnSlot, _ block: BlockState, _ payload: UnsafeRawBufferPointer) throws(Fault) {
        var reader = block.reader(at: Int(slot.descriptor))
        let layout = try StringCodec.parse(&reader, count: Int(slot.count))
        let attribute = slot.key.attribute
        switch layout.form {
        case .single: if layout.shared > 0 { note([layout.singleShared], of: attribute) }
        case .direct: note(try numbers(payload, layout.count, layout.sharedWidth), of: attribute)
        case .dictionary: note(try numbers(payload, layout.shared, layout.sharedWidth), of: attribute)
        case .distinct: break
        }
    }

    private func numbers(
        _ payload: UnsafeRawBufferPointer, _ count: Int, _ width: Int
    ) throws(Fault) -> [UInt32] {
        let bytes = BitPacking.byteCount(count, width: width)
        guard payload.count >= bytes else { throw Fault(.damaged, "string column ends too early") }
        var numbers = [UInt32](repeating: 0, count: count)
        var failure: Fault?
        numbers.withUnsafeMutableBufferPointer { target in
            guard let base = target.baseAddress else { return }
            do throws(Fault) {
                try BitPacking.unpack(
                    UnsafeRawBufferPointer(rebasing: payload[..<bytes]), count: count, width: width, into: base)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return numbers
    }

    private mutating func note(_ numbers: [UInt32], of attribute: UInt32) {
        var flags = used.removeValue(forKey: attribute) ?? []
        for number in numbers {
            if Int(number) >= flags.count {
                flags.append(contentsOf: repeatElement(false, count: Int(number) + 1 - flags.count))
            }
            flags[Int(number)] = true
        }
        used[attribute] = flags
    }

    /// The values up to the last that is used, those that are not being empty.
    func reduced(_ values: UnsafeBufferPointer<StringRef>, of attribute: UInt32) throws(Fault) -> [StringRef] {
        let flags = used[attribute] ?? []
        guard flags.count <= values.count, let first = values.first else {
            throw Fault(.damaged, "shared value beyond the vocabulary")
        }
        return flags.indices.map { flags[$0] ? values[$0] : StringRef(base: first.base, count: 0) }
    }
}
