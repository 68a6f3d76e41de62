// The bytes of whole files: their hash, and copies of them.

import EventStoreCore
import EventStoreCrypto

enum FileBytes {
    static let stepBytes = 1 << 20

    /// Calls `body` with all bytes of a file, in order, a step at a time; returns how many there are.
    static func forEach(
        of file: any FileHandle, _ body: (UnsafeRawBufferPointer, _ place: Int) throws(Fault) -> Void
    ) throws(Fault) -> Int {
        let size = try file.size()
        var buffer = [UInt8](repeating: 0, count: max(1, min(size, stepBytes)))
        var place = 0
        while place < size {
            let count = min(buffer.count, size - place)
            try buffer.withMutableBytes { (bytes) throws(Fault) in
                let step = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
                try file.read(into: step, at: place)
                try body(UnsafeRawBufferPointer(step), place)
            }
            place += count
        }
        return size
    }

    static func sha256(_ path: String, _ files: any FileSystem) throws(Fault) -> (bytes: Int, sha256: String) {
        let file = try files.openForReading(path)
        defer { file.close() }
        let hash = SHA256Stream()
        let size = try forEach(of: file) { (bytes, _) in hash.add(bytes) }
        return (size, hash.finish().hexText)
    }

    /// Copies one open file into another; returns how many bytes it has. Nothing is synced.
    static func copy(
        _ source: any FileHandle, to target: any FileHandle, progress: (Int) -> Void = { _ in }
    ) throws(Fault) -> Int {
        try forEach(of: source) { (bytes, place) throws(Fault) in
            try target.write(bytes, at: place)
            progress(bytes.count)
        }
    }
}
