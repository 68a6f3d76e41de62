// The file `reserve`: disk space that is given back to the file system when retention or erasure meets a full disk, so
// that they can commit. As long as it is missing nothing is appended: the space is theirs.

import EventStoreCore
import Synchronization

final class Reserve: Sendable {
    private let path: String
    private let environment: Environment
    private let released = Atomic<Bool>(false)
    private let triedAt = Mutex<ContinuousClock.Instant?>(nil)

    static let fileName = "reserve"
    private static let pause = Duration.milliseconds(200)

    init(_ files: StoreFiles, _ environment: Environment) {
        path = files.reserve
        self.environment = environment
    }

    /// Bytes set aside for a store of this size.
    static func bytes(storeBytes: Int) -> Int {
        storeBytes <= 16 << 20 ? 256 << 10 : storeBytes <= 256 << 20 ? 1 << 20 : 4 << 20
    }

    var isReleased: Bool { released.load(ordering: .acquiring) }

    /// Makes the file when it is missing or too small. A disk that is too full for it counts as released.
    func make(storeBytes: Int) throws(Fault) {
        let wanted = Reserve.bytes(storeBytes: storeBytes)
        do throws(Fault) {
            let status = try environment.files.status(path)
            if let status, status.size >= wanted, status.allocatedBytes >= wanted / 2 { return made() }
            try write(wanted, exists: status != nil)
        } catch {
            guard error.code == .diskFull else { throw error }
            _ = release()
        }
    }

    private func write(_ wanted: Int, exists: Bool) throws(Fault) {
        let handle = exists ? try environment.files.openForUpdate(path) : try environment.files.create(path)
        defer { handle.close() }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var word: UInt64 = 0
        var place = 0
        while place < wanted {
            // File systems that compress would not set space aside for zeros.
            bytes.withUnsafeMutableBytes { raw in
                for offset in stride(from: 0, to: raw.count, by: 8) {
                    word &+= 1
                    raw.storeBytes(of: Hash.mix(word, 0x9e37_79b9_7f4a_7c15), toByteOffset: offset, as: UInt64.self)
                }
            }
            try bytes.withBytes { (bytes) throws(Fault) in try handle.write(bytes, at: place) }
            place += bytes.count
        }
        made()
    }

    private func made() { released.store(false, ordering: .releasing) }

    /// Gives the space back; false when there was none to give.
    func release() -> Bool {
        released.store(true, ordering: .releasing)
        guard let status = try? environment.files.status(path), status.size > 0,
            let handle = try? environment.files.openForUpdate(path)
        else { return false }
        defer { handle.close() }
        do throws(Fault) {
            try handle.truncate(to: 0)
            return true
        } catch {
            return false
        }
    }

    /// Runs something that has to work on a full disk: once more with the reserve given back if need be. `body` must
    /// leave nothing half-done when it throws `diskFull`.
    func assisting<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        do throws(Fault) {
            return try body()
        } catch {
            guard error.code == .diskFull, release() else { throw error }
            return try body()
        }
    }

    /// Takes the space back if it was given away, at most a few times a second.
    func restore(storeBytes: Int) throws(Fault) {
        guard isReleased else { return }
        let isDue = triedAt.withLock { last in
            let now = ContinuousClock.now
            if let last, now - last < Reserve.pause { return false }
            last = now
            return true
        }
        if isDue { try make(storeBytes: storeBytes) }
    }

    /// The next `restore` tries at once: something was freed.
    func somethingWasFreed() { triedAt.withLock { $0 = nil } }
}
