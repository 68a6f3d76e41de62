// State behind a lock whose parts are raw memory, which the compiler cannot prove to stay behind it.

import Foundation

/// Like `Mutex`, for state that holds buffers. `@unchecked Sendable`: the state is only reached with the lock
/// held, and bodies give out copies, never pointers into it.
final class Guarded<State: ~Copyable>: @unchecked Sendable {
    private let lock = NSLock()
    private var state: State

    init(_ state: consuming State) { self.state = state }

    func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        lock.lock()
        defer { lock.unlock() }
        return try body(&state)
    }
}
