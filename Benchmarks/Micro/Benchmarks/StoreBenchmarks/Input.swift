// What the benchmarks work on: numbers that are the same in every run, files in memory, a sealer that does not seal,
// event lines.

import EventStoreCore
import EventStoreIngest
import EventStoreSegments
import Synchronization

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
struct Numbers {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Copies packs instead of sealing them, so that codecs alone are measured.
final class CopyingSealer: BlockSealer {
    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64 { UInt64(entity) }
    func useVocabularyKey(_ bytes: UnsafeRawBufferPointer) throws(Fault) {}

    func seal(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) { into.copyMemory(from: plain) }

    func open(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) { into.copyMemory(from: UnsafeRawBufferPointer(rebasing: sealed[0..<into.count])) }
}

/// A file in memory whose room is kept from one use to the next.
final class MemoryFile: FileHandle, FileSystem {
    private let bytes = Mutex<[UInt8]>([])

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        bytes.withLock { known in
            known.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(target).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + target.count]))
            }
        }
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        bytes.withLock { known in
            let end = offset + source.count
            if known.count < end { known.append(contentsOf: repeatElement(0, count: end - known.count)) }
            known.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[offset..<end]).copyMemory(from: source)
            }
        }
    }

    func size() throws(Fault) -> Int { bytes.withLock { $0.count } }
    func sync() throws(Fault) {}
    func truncate(to size: Int) throws(Fault) { bytes.withLock { $0.removeLast($0.count - size) } }
    func close() {}

    // MARK: A file system of this one file

    func openForReading(_ path: String) throws(Fault) -> any FileHandle { self }
    func openForUpdate(_ path: String) throws(Fault) -> any FileHandle { self }
    func create(_ path: String) throws(Fault) -> any FileHandle {
        bytes.withLock { $0.removeAll(keepingCapacity: true) }
        return self
    }
    func rename(_ from: String, to: String) throws(Fault) {}
    func unlink(_ path: String) throws(Fault) {}
    func makeDirectory(_ path: String) throws(Fault) {}
    func removeDirectory(_ path: String) throws(Fault) {}
    func list(_ path: String) throws(Fault) -> [String] { [] }
    func status(_ path: String) throws(Fault) -> FileStatus? { nil }
    func syncDirectory(_ path: String) throws(Fault) {}
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { nil }
}

/// Lines of events as sites send them.
enum EventLines {
    static let startMs: Int64 = 1_756_684_800_000

    static func make(count: Int, entities: Int) -> [UInt8] {
        var numbers = Numbers(seed: 11)
        var text = ""
        for index in 0..<count {
            let entity = numbers.next() % UInt64(entities)
            let (high, low) = (hex(numbers.next(), 16), hex(numbers.next(), 16))
            let id =
                "\(high.prefix(8))-\(high.dropFirst(8).prefix(4))-4\(high.suffix(3))-8\(low.prefix(3))-\(low.suffix(12))"
            let status = [200, 200, 200, 200, 301, 404, 500][Int(numbers.next() % 7)]
            text += """
                {"event_id":"\(id)","entity":"site-\(entity).example","event_type":"http.request",\
                "timestamp":\(startMs + Int64(index) * 700),"labels":{"method":"GET",\
                "path":"/shop/item-\(numbers.next() % 300)/","status":\(status),\
                "duration_ms":\(20 + numbers.next() % 900),"logged_in":\(numbers.next() % 9 == 0),\
                "user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:1\(numbers.next() % 20).0) Gecko/20100101 Firefox",\
                "ip_anon":"10.\(numbers.next() % 256).\(numbers.next() % 256).0"}}

                """
        }
        return Array(text.utf8)
    }

    private static func hex(_ number: UInt64, _ digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: digits - text.count) + text
    }
}
