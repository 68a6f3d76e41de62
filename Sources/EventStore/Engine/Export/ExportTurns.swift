// The order of output: several threads prepare items, each writes its own when all before it are written.

import EventStoreCore
import Foundation

/// `@unchecked Sendable`: everything that changes is touched with `condition` held.
final class ExportTurns: @unchecked Sendable {
    private let condition = NSCondition()
    private var current = 0
    private var fault: Fault?

    /// Returns when it is the item's turn; what it does until `finish` is alone and in order.
    func wait(for item: Int) throws(Fault) {
        condition.lock()
        defer { condition.unlock() }
        while current < item, fault == nil { condition.wait() }
        if let fault { throw fault }
    }

    func finish(_ item: Int) {
        condition.lock()
        current = item + 1
        condition.broadcast()
        condition.unlock()
    }

    /// Ends all waiting, now and later, with this fault or the one before it.
    func fail(_ error: Fault) {
        condition.lock()
        fault = fault ?? error
        condition.broadcast()
        condition.unlock()
    }
}
