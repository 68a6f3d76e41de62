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

    /// The key, found or asked for once, to open the store with as often as a command needs.
    func session() throws -> StoreSession { StoreSession(access: self, key: try keys.source(store: store)) }

    /// Opens, works, closes. A failure of the work is told rather than one of the closing after it.
    func open<T>(_ mode: OpenOptions.Mode, _ work: (BlockingEventStore) throws -> T) throws -> T {
        try session().open(mode, work)
    }

    /// Carries out a change, here or in the process that holds the store.
    func perform(
        _ operation: StoreOperation, progress: (@Sendable (Double) -> Void)? = nil
    ) throws -> OperationResult {
        try session().perform(operation, progress: progress)
    }
}

/// A store and the key to it.
struct StoreSession {
    let access: StoreAccess
    let key: KeySource

    func open<T>(_ mode: OpenOptions.Mode, _ work: (BlockingEventStore) throws -> T) throws -> T {
        let handle = try BlockingEventStore.open(at: access.store, key: key, options: access.options(mode))
        let result: T
        do { result = try work(handle) } catch {
            try? handle.close()
            throw error
        }
        try handle.close()
        return result
    }

    /// Carries out a change. What else is due in the store, such as a sweep, is left to those who write all the time:
    /// a command does what it says.
    func perform(
        _ operation: StoreOperation, progress: (@Sendable (Double) -> Void)? = nil
    ) throws -> OperationResult {
        var options = access.options(.readWrite)
        options.sweepsAutomatically = false
        return try StoreAdministration.perform(
            operation, at: access.store, key: key, options: options, progress: progress)
    }

    /// The same for an operation on one entity: a name that is not there fails with near ones.
    func perform(
        _ operation: StoreOperation, onEntity name: String, progress: (@Sendable (Double) -> Void)? = nil
    ) throws -> OperationResult {
        do {
            return try perform(operation, progress: progress)
        } catch let error as EventStoreError where error.code == .notFound {
            let near = (try? nearEntities(name)) ?? []
            throw CLIFailure(error, context: EntityHint.lines(near))
        }
    }

    /// What is known of one entity.
    func entity(_ name: String) throws -> EntityInfo {
        let all = try open(.readOnly) { try $0.entities() }
        if let found = all.first(where: { $0.name == name }) { return found }
        throw CLIFailure(
            code: "not-found", message: "there is no entity '\(TextLayout.harmless(name))'; `entity list` shows all",
            context: EntityHint.lines(NearNames.near(name, among: all.map(\.name))))
    }

    private func nearEntities(_ name: String) throws -> [String] {
        NearNames.near(name, among: try open(.readOnly) { try $0.names(of: .entity) })
    }
}

/// What is said before the failure when a name is not there.
package enum EntityHint {
    package static func lines(_ near: [String]) -> [String] {
        guard !near.isEmpty else { return [] }
        return ["hint: did you mean " + near.map { "'\(TextLayout.harmless($0))'" }.joined(separator: " or ") + "?"]
    }
}
