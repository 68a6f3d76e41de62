import EventStoreCore
import Foundation

/// A change of a store as a value: what any process asks for and the holder of the writer's lock carries out.
///
/// Run one with ``StoreAdministration/perform(_:at:key:options:progress:)``: it opens the store for writing, or where
/// another process has it open already, lets that one do it.
public enum StoreOperation: Codable, Sendable {
    case addEntity(name: String, plan: String?, days: Int?, reason: String?)
    case setEntityPlan(name: String, plan: String?, days: Int?, reason: String?)
    case renameEntity(name: String, to: String, reason: String?)
    case suspendEntity(name: String, reason: String?)
    case resumeEntity(name: String, reason: String?)
    case cancelEntity(name: String, eraseAfterMs: Int64?, reason: String?)
    case eraseEntity(name: String, reason: String?)
    case setPlan(Plan)
    case sweep(dryRun: Bool, confirmed: Bool)
    /// The text of a collection policy.
    case setPolicy(json: String)
    case setBudget(BudgetChange)
    case compact
    case flush
    case keys(KeyOperation)
    case backup(directory: String, options: BackupOptions)
    /// Records an export that a process does which has the store open for reading.
    case recordExport(ExportRecord)
    /// An import of files. Beside another process that one reads them: paths are those of this machine, and "-" is
    /// the standard input of the process that asks.
    case importEvents(ImportRequest)
}

/// What an operation gives back.
public enum OperationResult: Codable, Sendable {
    case done
    /// It was so already; nothing was written.
    case unchanged
    case swept(SweepReport)
    case erased(ErasureReport)
    case compacted(CompactReport)
    case keys(KeyResult)
    case backedUp(BackupReport)
    case imported(ImportReport)
}

/// Changing a store whoever holds it.
public enum StoreAdministration {
    /// Carries out an operation: in this process when nobody writes to the store, else in the process that does, over
    /// the socket in the store's directory. Durable when it returns.
    ///
    /// - Parameter progress: the share done, from 0 to 1, of operations that take long.
    /// - Throws: what the operation throws; `locked` when the holder does not answer, naming it.
    public static func perform(
        _ operation: StoreOperation, at path: String, key: KeySource, options: OpenOptions = OpenOptions(),
        progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> OperationResult {
        // A holder that is just starting or ending does not answer for a moment.
        let start = ContinuousClock.now
        while true {
            let locked: EventStoreError
            do throws(EventStoreError) {
                return try here(operation, path, key, options, progress)
            } catch {
                guard error.code == .locked else { throw error }
                locked = error
            }
            if let result = try beside(locked, operation, path, key, options, progress) { return result }
            guard ContinuousClock.now - start < patience else { throw locked }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    private static let patience = Duration.seconds(3)

    private static func here(
        _ operation: StoreOperation, _ path: String, _ key: KeySource, _ options: OpenOptions,
        _ progress: (@Sendable (Double) -> Void)?
    ) throws(EventStoreError) -> OperationResult {
        let store = try BlockingEventStore.open(at: path, key: key, options: options)
        let result: Result<OperationResult, EventStoreError>
        do throws(EventStoreError) {
            result = .success(try store.perform(operation, progress: progress))
        } catch {
            result = .failure(error)
        }
        if case .failure = result { try? store.close() } else { try store.close() }
        return try result.get()
    }

    /// `nil` when the holder did not begin.
    private static func beside(
        _ locked: EventStoreError, _ operation: StoreOperation, _ path: String, _ key: KeySource,
        _ options: OpenOptions, _ progress: (@Sendable (Double) -> Void)?
    ) throws(EventStoreError) -> OperationResult? {
        if case .importEvents(let request) = operation, request.hasKeyOfThisProcess {
            throw EventStoreError(
                Fault(
                    .invalid,
                    "another process holds the store and would import, but a key is not given to it: put the source's "
                        + "key into a file and name that as sourceKey", at: .init(file: path)))
        }
        guard let client = ControlClient(store: path) else { return nil }
        // Whoever asks for a change has to have the key, as if nobody held the store.
        var reading = options
        reading.mode = .readOnly
        try BlockingEventStore.open(at: path, key: key, options: reading).close()
        return try client.perform(operation, locked: locked, progress: progress)
    }
}

extension BlockingEventStore {
    /// Carries out an operation in this process, which has the store open for writing.
    public func perform(
        _ operation: StoreOperation, progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> OperationResult {
        switch operation {
        case .addEntity(let name, let plan, let days, let reason):
            try addEntity(name, plan: plan, days: days, reason: reason)
        case .setEntityPlan(let name, let plan, let days, let reason):
            try setPlan(ofEntity: name, plan: plan, days: days, reason: reason)
        case .renameEntity(let name, let new, let reason): try renameEntity(name, to: new, reason: reason)
        case .suspendEntity(let name, let reason):
            return try suspendEntity(name, reason: reason) ? .done : .unchanged
        case .resumeEntity(let name, let reason):
            return try resumeEntity(name, reason: reason) ? .done : .unchanged
        case .cancelEntity(let name, let eraseAfterMs, let reason):
            return try cancelEntity(name, eraseAfterMs: eraseAfterMs, reason: reason) ? .done : .unchanged
        case .eraseEntity(let name, let reason): return .erased(try eraseEntity(name, reason: reason))
        case .setPlan(let plan): try setPlan(plan)
        case .sweep(let dryRun, let confirmed): return .swept(try sweep(dryRun: dryRun, confirmed: confirmed))
        case .setPolicy(let json): try setPolicy(json: json)
        case .setBudget(let change): try setBudget(change)
        case .compact: return .compacted(try compact(progress: progress))
        case .flush: try flush()
        case .keys(let operation): return .keys(try perform(operation, progress: progress))
        case .backup(let directory, let options):
            return .backedUp(try backup(to: directory, options: options, progress: progress))
        case .recordExport(let record): try atTheDoor { () throws(Fault) in try engine.record(record) }
        case .importEvents(let request):
            return .imported(
                try importEvents(request) { told in
                    progress?(told.bytesTotal > 0 ? Double(told.bytesRead) / Double(told.bytesTotal) : 0)
                })
        }
        return .done
    }
}
