import EventStoreCore
/// Placeholder while the engine is being written: every call says so.
final class StoreEngine: Sendable {
    static func create(at path: String, key: KeySource, create: CreateOptions, open: OpenOptions) throws(Fault)
        -> StoreEngine
    { throw Fault(.invalid, "not built yet") }
    static func open(at path: String, key: KeySource, open: OpenOptions) throws(Fault) -> StoreEngine {
        throw Fault(.invalid, "not built yet")
    }
    func append(_ events: [Event], batchID: String?) throws(Fault) -> AppendReport {
        throw Fault(.invalid, "not built yet")
    }
    func importEvents(_ request: ImportRequest, progress: (@Sendable (ImportProgress) -> Void)?) throws(Fault)
        -> ImportReport
    { throw Fault(.invalid, "not built yet") }
    func counts(by key: CountKey, _ filter: EventFilter) throws(Fault) -> [CountRow] {
        throw Fault(.invalid, "not built yet")
    }
    func histogram(_ filter: EventFilter, by: String?, bucketMs: Int64, origin: Int64) throws(Fault) -> Histogram {
        throw Fault(.invalid, "not built yet")
    }
    func tailBatch(_ filter: EventFilter, from: UInt64, limit: Int, timeoutMs: Int) throws(Fault) -> EventBatch {
        throw Fault(.invalid, "not built yet")
    }
    func nextSequence() throws(Fault) -> UInt64 { throw Fault(.invalid, "not built yet") }
    func names(of kind: NameKind) throws(Fault) -> [String] { throw Fault(.invalid, "not built yet") }
    func stats() throws(Fault) -> StoreStats { throw Fault(.invalid, "not built yet") }
    func verify(quick: Bool, progress: (@Sendable (Double) -> Void)?) throws(Fault) -> VerifyReport {
        throw Fault(.invalid, "not built yet")
    }
    func compact(progress: (@Sendable (Double) -> Void)?) throws(Fault) -> CompactReport {
        throw Fault(.invalid, "not built yet")
    }
    func flush() throws(Fault) { throw Fault(.invalid, "not built yet") }
    func close() throws(Fault) { throw Fault(.invalid, "not built yet") }
}
struct NameResolver: Sendable {
    func event(_ rows: RowBatch, row: Int) -> Event { Event(entity: "", type: "", timestamp: 0) }
    func writeNDJSON(_ rows: RowBatch, order: [Int32], into target: inout [UInt8]) {}
}
final class CursorRun {
    init(engine: StoreEngine, filter: EventFilter, order: EventOrder, limit: Int?) throws(Fault) {
        throw Fault(.invalid, "not built yet")
    }
    func nextBatch() throws(Fault) -> EventBatch? { nil }
    func close() {}
}
