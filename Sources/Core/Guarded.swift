// State behind a lock whose parts are raw memory, which the compiler cannot prove to stay behind it.

import Synchronization

/// Like `Mutex`, for state that holds buffers or goes between threads of one piece of work. `@unchecked Sendable`: the
/// state is only reached with the lock held, and bodies give out copies, never pointers into it.
///
/// Inlined into its users: the generic form would look up the metadata of every result at every call.
@usableFromInline
package final class Guarded<State: ~Copyable>: @unchecked Sendable {
    @usableFromInline let lock = Mutex(())
    /// Unchecked: the lock sees to it, and would not be taken twice.
    @exclusivity(unchecked) @usableFromInline var state: State

    @inlinable
    package init(_ state: consuming State) { self.state = state }

    @inlinable
    package func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        // Results cross as copies that the lock's own check cannot see through.
        nonisolated(unsafe) var result: Result<R, E>?
        lock.withLock { _ in result = Result { () throws(E) in try body(&state) } }
        guard let result else { preconditionFailure("the body has run") }
        return try result.get()
    }
}

extension Guarded where State: Copyable {
    /// A copy of the state.
    @inlinable
    package var value: State { withLock { $0 } }
}
