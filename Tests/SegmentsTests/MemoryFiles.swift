// A file system in memory for tests, with a write that fails on demand.

import EventStoreCore
import Synchronization

final class MemoryFile: FileHandle {
    let bytes: Mutex<[UInt8]>
    let failingWrites = Mutex(Int.max)
    let reads = Mutex(0)
    let writes = Mutex(0)
    let syncs = Mutex(0)

    init(_ bytes: [UInt8] = []) { self.bytes = Mutex(bytes) }

    var content: [UInt8] { bytes.withLock { $0 } }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        reads.withLock { $0 += 1 }
        let address = UInt(bitPattern: target.baseAddress)
        let count = target.count
        let isWhole = bytes.withLock { known in
            guard offset >= 0, offset + count <= known.count else { return false }
            guard let base = UnsafeMutableRawPointer(bitPattern: address) else { return true }
            known.withUnsafeBytes { base.copyMemory(from: $0.baseAddress! + offset, byteCount: count) }
            return true
        }
        if !isWhole { throw Fault(.damaged, "file ends too early", at: .init(offset: offset)) }
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        let number = writes.withLock { count in
            count += 1
            return count
        }
        if number >= failingWrites.withLock({ $0 }) { throw Fault(.diskFull, "no space left") }
        let fresh = Array(source)
        bytes.withLock { known in
            if known.count < offset + fresh.count {
                known.append(contentsOf: [UInt8](repeating: 0, count: offset + fresh.count - known.count))
            }
            known.replaceSubrange(offset..<offset + fresh.count, with: fresh)
        }
    }

    func size() throws(Fault) -> Int { bytes.withLock { $0.count } }
    func sync() throws(Fault) { syncs.withLock { $0 += 1 } }
    func truncate(to size: Int) throws(Fault) { bytes.withLock { $0.removeLast($0.count - size) } }
    func close() {}
}

final class MemoryFiles: FileSystem {
    let files = Mutex<[String: MemoryFile]>([:])
    let failingWrites = Mutex(Int.max)
    let failsRename = Mutex(false)

    func file(_ path: String) -> MemoryFile? { files.withLock { $0[path] } }

    func openForReading(_ path: String) throws(Fault) -> any FileHandle {
        guard let file = file(path) else { throw Fault(.notFound, "no such file", at: .init(file: path)) }
        return file
    }
    func openForUpdate(_ path: String) throws(Fault) -> any FileHandle { try openForReading(path) }
    func create(_ path: String) throws(Fault) -> any FileHandle {
        let fresh = MemoryFile()
        fresh.failingWrites.withLock { $0 = failingWrites.withLock { $0 } }
        let isNew = files.withLock { known in
            if known[path] != nil { return false }
            known[path] = fresh
            return true
        }
        if !isNew { throw Fault(.exists, "file exists", at: .init(file: path)) }
        return fresh
    }
    func rename(_ from: String, to: String) throws(Fault) {
        if failsRename.withLock({ $0 }) { throw Fault(.io, "rename failed") }
        files.withLock { known in
            known[to] = known[from]
            known[from] = nil
        }
    }
    func unlink(_ path: String) throws(Fault) { files.withLock { $0[path] = nil } }
    func makeDirectory(_ path: String) throws(Fault) {}
    func removeDirectory(_ path: String) throws(Fault) {}
    func list(_ path: String) throws(Fault) -> [String] { files.withLock { Array($0.keys) } }
    func status(_ path: String) throws(Fault) -> FileStatus? { nil }
    func syncDirectory(_ path: String) throws(Fault) {}
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { nil }
}
