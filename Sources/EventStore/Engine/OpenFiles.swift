// How many files a process may have open.

import CHostSystem

/// Queries that hand out rows hold the files they read, so that another process can merge them away meanwhile.
package enum OpenFiles {
    /// As the system says now.
    static var allowed: Int { Int(clamping: eventstore_open_files(0)) }

    /// Asks for as many as a large store has segments. For programs that are only this; a library leaves limits alone.
    package static func allowMany() { _ = eventstore_open_files(65_536) }
}
