// What the tests of this room share: hex, repeatable randomness, a file system in memory that fails on demand.

import EventStoreCore
import EventStoreCrypto
import Synchronization
import Testing

func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.filter { $0 > 0x20 }.map { UInt8(($0 & 15) + ($0 > 0x39 ? 9 : 0)) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

func secret(_ bytes: [UInt8]) -> SecretBytes { bytes.withUnsafeBytes { SecretBytes(copying: $0) } }
func secret(_ text: String) -> SecretBytes { secret(Array(text.utf8)) }
func key(_ bytes: [UInt8]) -> SecretKey { SecretKey(secret(bytes)) }
func key(_ byte: UInt8) -> SecretKey { key([UInt8](repeating: byte, count: 32)) }
func clear(_ key: SecretKey) -> [UInt8] { key.withUnsafeBytes { [UInt8]($0) } }

/// The code of the fault `body` throws, `nil` when it throws none.
func faultCode(_ body: () throws -> Void) -> Fault.Code? {
    do { try body() } catch { return (error as? Fault)?.code ?? Fault.Code(rawValue: "not-a-fault") }
    return nil
}

/// SplitMix64: repeatable, not for keys outside of tests.
final class TestRandom: Sendable {
    private let state: Mutex<UInt64>
    init(seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    func fill(_ target: UnsafeMutableRawBufferPointer) {
        for index in target.indices { target[index] = UInt8(truncatingIfNeeded: next()) }
    }

    func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { fill($0) }
        return bytes
    }
}

func testEnvironment(_ files: MemoryFiles = MemoryFiles(), seed: UInt64 = 1) -> Environment {
    let random = TestRandom(seed: seed)
    return Environment(files: files, nowMs: { 1_764_000_000_000 }, randomBytes: { random.fill($0) })
}

/// Whole files in memory. The operation counted down to zero fails, before or after it took effect.
final class MemoryFiles: FileSystem {
    struct State: Sendable {
        var files: [String: [UInt8]] = [:]
        var operationsUntilFailure: Int?
        var failsAfterEffect = false
        var failure = Fault.Code.io
        var renames = 0
        var bytesRead = 0
    }

    let state = Mutex(State())

    subscript(path: String) -> [UInt8]? {
        get { state.withLock { $0.files[path] } }
        set { state.withLock { $0.files[path] = newValue } }
    }

    /// Makes the operation after `count` more fail; `nil` for none.
    func fail(after count: Int?, afterEffect: Bool = false, code: Fault.Code = .io) {
        state.withLock {
            $0.operationsUntilFailure = count
            $0.failsAfterEffect = afterEffect
            $0.failure = code
        }
    }

    /// Whether the failure asked for has happened.
    var hasFailed: Bool { state.withLock { $0.operationsUntilFailure.map { $0 < 0 } ?? false } }

    func perform<R: Sendable>(_ effect: @Sendable (inout State) throws(Fault) -> R) throws(Fault) -> R {
        try state.withLock { (state) throws(Fault) in
            var isFailing = false
            if let left = state.operationsUntilFailure {
                isFailing = left == 0
                state.operationsUntilFailure = left - 1
            }
            let fault = Fault(state.failure, "asked to fail")
            if isFailing, !state.failsAfterEffect { throw fault }
            let result = try effect(&state)
            if isFailing { throw fault }
            return result
        }
    }

    private func opened(_ path: String) throws(Fault) -> any FileHandle {
        try perform { (state) throws(Fault) in
            if state.files[path] == nil { throw Fault(.notFound, "no such file") }
        }
        return MemoryFile(self, path)
    }

    func openForReading(_ path: String) throws(Fault) -> any FileHandle { try opened(path) }
    func openForUpdate(_ path: String) throws(Fault) -> any FileHandle { try opened(path) }
    func create(_ path: String) throws(Fault) -> any FileHandle {
        try perform { (state) throws(Fault) in
            if state.files[path] != nil { throw Fault(.exists, "exists") }
            state.files[path] = []
        }
        return MemoryFile(self, path)
    }
    func rename(_ from: String, to: String) throws(Fault) {
        try perform { (state) throws(Fault) in
            guard let bytes = state.files.removeValue(forKey: from) else { throw Fault(.notFound, "no such file") }
            state.files[to] = bytes
            state.renames += 1
        }
    }
    func unlink(_ path: String) throws(Fault) { try perform { $0.files[path] = nil } }
    func makeDirectory(_ path: String) throws(Fault) {}
    func removeDirectory(_ path: String) throws(Fault) {}
    func list(_ path: String) throws(Fault) -> [String] { [] }
    func status(_ path: String) throws(Fault) -> FileStatus? {
        state.withLock { state in
            state.files[path].map {
                FileStatus(isDirectory: false, size: $0.count, allocatedBytes: $0.count, mode: 0o600, ownerID: 0)
            }
        }
    }
    func syncDirectory(_ path: String) throws(Fault) { try perform { _ in } }
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { nil }
}

private final class MemoryFile: FileHandle {
    private let files: MemoryFiles
    private let path: String

    init(_ files: MemoryFiles, _ path: String) {
        self.files = files
        self.path = path
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        let bytes = files[path] ?? []
        guard offset + target.count <= bytes.count else { throw Fault(.damaged, "file ends too early") }
        target.copyBytes(from: bytes[offset..<offset + target.count])
        files.state.withLock { $0.bytesRead += target.count }
    }
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        let bytes = [UInt8](source)
        let path = self.path
        try files.perform { state in
            var file = state.files[path] ?? []
            file.replaceSubrange(min(offset, file.count)..<min(offset + bytes.count, file.count), with: bytes)
            state.files[path] = file
        }
    }
    func size() throws(Fault) -> Int { files[path]?.count ?? 0 }
    func sync() throws(Fault) { try files.perform { _ in } }
    func truncate(to size: Int) throws(Fault) {}
    func close() {}
}
