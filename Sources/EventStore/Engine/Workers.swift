// Threads for work that blocks: sealing, writing, syncing. Not the cooperative pool.

import EventStoreCore
import Foundation
import Synchronization

enum Workers {
    static var cores: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

    /// Runs `body` for 0 ..< `count`, on as many threads as asked, each item once. Returns when all are done.
    /// The first fault ends the run: items not begun by then are left out, and it is thrown.
    static func run(
        _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) throws(Fault) -> Void
    ) throws(Fault) {
        guard count > 0 else { return }
        let shared = SharedRun(count)
        let helpers = min(threads, count) - 1
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<max(0, helpers) {
            let thread = Thread {
                shared.work(body)
                done.signal()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        shared.work(body)
        for _ in 0..<max(0, helpers) { done.wait() }
        if let fault = shared.fault.withLock({ $0 }) { throw fault }
    }

    private final class SharedRun: Sendable {
        let count: Int
        let next = Atomic<Int>(0)
        let fault = Mutex<Fault?>(nil)

        init(_ count: Int) { self.count = count }

        func work(_ body: (Int) throws(Fault) -> Void) {
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < count, fault.withLock({ $0 == nil }) else { return }
                do throws(Fault) {
                    try body(index)
                } catch {
                    fault.withLock { if $0 == nil { $0 = error } }
                }
            }
        }
    }
}
