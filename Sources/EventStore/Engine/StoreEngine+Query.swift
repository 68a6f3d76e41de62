// Questions in SQL: parsed, planned, and run by the engine that can.

import EventStoreCore
import EventStoreQuery

extension StoreEngine {
    func query(_ sql: String, _ parameters: [String: QueryValue]) throws(Fault) -> any QueryRun {
        try requireOpen()
        throw Fault(.invalid, "queries are not there yet")
    }
}
