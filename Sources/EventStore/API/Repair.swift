// Repairing a damaged store: what is asked for and what is told.

import EventStoreCore

/// What a repair found, saved and lost.
public struct RepairReport: Sendable, Codable {
    /// Events that are gone.
    public struct Loss: Sendable, Codable, Hashable {
        /// The damaged file, as it was called before the repair.
        public var file: String
        /// `nil` when it is not known whose the events were.
        public var entity: String?
        /// The range of their times, milliseconds, both inclusive, as far as it is known.
        public var since: Int64?
        public var until: Int64?
        public var rows: Int
        public var message: String
    }
    /// Something that was moved out of the way.
    public struct Moved: Sendable, Codable, Hashable {
        public var file: String
        /// Where it is now; `nil` with `dryRun`.
        public var to: String?
        public var message: String
    }
    public var dryRun = false
    public var losses: [Loss] = []
    public var quarantined: [Moved] = []
    /// Segments that were damaged; what could be read of them was written anew.
    public var segmentsDamaged = 0
    /// Events of damaged segments that were saved.
    public var eventsSaved = 0
    /// Events that are gone: the sum of `losses`.
    public var eventsLost = 0
    /// Numbers of the catalog that did not fit what is stored, and do now.
    public var totalsCorrected = 0
    /// What `verify` finds afterwards; empty after a repair that did all there is to do.
    public var holesLeft: [String] = []
    public var seconds = 0.0
    /// Whether nothing was, or with `dryRun` is, to be done.
    public var wasSound: Bool { losses.isEmpty && quarantined.isEmpty && totalsCorrected == 0 && holesLeft.isEmpty }
    public init() {}
}

extension StoreAdministration {
    /// Makes a damaged store one that verifies again. What can be read of damaged files is written to new ones, the old
    /// ones are moved to `STORE/quarantine`; nothing is edited in place. The report says what is lost, by entity, time
    /// and number of events.
    ///
    /// Reads every byte; memory follows the largest damaged block. Interrupted, it is simply run again.
    /// - Parameter dryRun: only says what a repair would do.
    /// - Throws: `locked` while another process writes; `wrong-key`; `damaged` when the keyring or what the catalog alone
    ///   knows cannot be read: then a backup has to be restored.
    public static func repair(
        at path: String, key: KeySource, options: OpenOptions = OpenOptions(), dryRun: Bool = false,
        progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> RepairReport {
        try atTheDoor { () throws(Fault) in
            try StoreRepair(
                at: path, key: key, options: options, environment: StoreEngine.environment(options), dryRun: dryRun
            ).run(progress)
        }
    }
}
