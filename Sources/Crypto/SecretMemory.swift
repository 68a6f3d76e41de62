// Memory for secrets: its own pages, kept out of swap (mlock) and core dumps where the system allows it,
// cleansed before it is given back. Invariants: a slot is all zeros while it is free; memory handed out
// is all zeros; small secrets share pages among themselves, never with anything else.

import CLibCrypto
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Allocates memory for secrets. Secrets up to 32 bytes take a slot of a shared page; larger ones take
/// whole pages. Locking is best effort: a refusal (RLIMIT_MEMLOCK) is ignored.
enum SecretMemory {
    static let slotBytes = 32

    /// Zeroed memory, aligned to 32 bytes. Traps when the system has no memory left.
    static func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        guard count > slotBytes else { return pool.withLock { $0.take() } }
        return map(pageRounded(count))
    }

    /// Cleanses the memory, then gives it back. `count` is the count it was allocated with.
    static func free(_ pointer: UnsafeMutableRawPointer, _ count: Int) {
        OPENSSL_cleanse(pointer, max(count, 1))
        guard count > slotBytes else {
            let slot = Slot(pointer: pointer)
            return pool.withLock { $0.free.append(slot) }
        }
        munmap(pointer, pageRounded(count))
    }

    /// `@unchecked Sendable`: a slot has one owner at a time, the pool's lock hands it over.
    private struct Slot: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private struct Pool: Sendable {
        var free: [Slot] = []

        mutating func take() -> UnsafeMutableRawPointer {
            if let slot = free.popLast() { return slot.pointer }
            let page = map(pageBytes)
            for offset in stride(from: pageBytes - slotBytes, to: 0, by: -slotBytes) {
                free.append(Slot(pointer: page + offset))
            }
            return page
        }
    }

    private static let pool = Mutex(Pool())
    private static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    private static func pageRounded(_ count: Int) -> Int {
        (count + pageBytes - 1) / pageBytes * pageBytes
    }

    private static func map(_ count: Int) -> UnsafeMutableRawPointer {
        let memory = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
        guard let memory, memory != MAP_FAILED else { preconditionFailure("no memory left for secrets") }
        mlock(memory, count)
        #if os(Linux)
            madvise(memory, count, Int32(MADV_DONTDUMP))
        #endif
        return memory
    }
}
