// What reading needs of a store, without what writing needs.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreQuery
import EventStoreSegments

struct ReadContext: Sendable {
    let files: StoreFiles
    let environment: Environment
    let settings: CatalogSettings
    let partition: Partition
    let catalog: Catalog
    let keyring: Keyring
    let names: NameTable
    let keyBackups: KeyBackupKeeper
    let segmentFiles: SegmentFiles
    /// Threads for parallel work.
    let threads: Int
    let memoryBudget: Int
    /// Columns that queries read before.
    let columnCache: ColumnCache
    let zones: any ZoneSource
    /// What segment files written now carry; drawn anew by each writer.
    var incarnation: UInt64 = 0
    /// What the store says of itself when it is an export.
    var export: ExportInfo?
    /// Whether the store may grow.
    let room: StoreRoom

    func binding(firstSequence: UInt64) -> JournalBinding {
        JournalBinding(storeID: settings.storeID, firstSequence: firstSequence)
    }
}
