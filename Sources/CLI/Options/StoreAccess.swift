/// Opens the store a command names, in the mode it needs, and closes it whatever happens.

import ArgumentParser
import EventStore
import Foundation

/// The options of every command that opens a store.
struct StoreAccess: ParsableArguments {
    @Argument(help: "Directory of the store.")
    var store: String

    @OptionGroup(title: "Key options")
    var keys: KeyOptions

    @OptionGroup
    var time: TimeOptions

    func options(_ mode: OpenOptions.Mode) -> OpenOptions {
        var options = OpenOptions(mode: mode)
        if let fixed = time.fixedNowMs { options.nowMs = { fixed } }
        return options
    }

    /// Opens, works, closes. A failure of the work is told rather than one of the closing after it.
    func open<T>(_ mode: OpenOptions.Mode, _ work: (BlockingEventStore) throws -> T) throws -> T {
        let source = try keys.source(store: store)
        let handle = try BlockingEventStore.open(at: store, key: source, options: options(mode))
        let result: T
        do { result = try work(handle) } catch {
            try? handle.close()
            throw error
        }
        try handle.close()
        return result
    }
}
