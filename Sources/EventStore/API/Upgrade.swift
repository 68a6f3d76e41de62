// Bringing a store of an earlier format to the present one.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto

/// What an upgrade did.
public struct UpgradeReport: Sendable, Codable, Hashable {
    /// The store's format before and after; equal when there was nothing to do.
    public var versionBefore: Int
    public var versionAfter: Int
    public var seconds: Double
}

extension StoreAdministration {
    /// Brings a store of an earlier format to the one this version writes, in one transaction of its catalog: a crash
    /// leaves the store in the format it had or in the new one. Segments and keys stay as they are; older versions of
    /// this software can no longer open the store afterwards. Reading needs no upgrade, writing does.
    ///
    /// - Throws: `locked` while another process writes to a store of an earlier format; `wrongKey` when the key does not open the store; `tooNew` when
    ///   the store's format is newer than this version knows. Nothing is changed then.
    public static func upgrade(
        at path: String, key: KeySource, options: OpenOptions = OpenOptions()
    ) throws(EventStoreError) -> UpgradeReport {
        try atTheDoor { () throws(Fault) in
            try upgrade(at: path, key: key, StoreEngine.environment(options))
        }
    }

    static func upgrade(
        at path: String, key: KeySource, _ environment: Environment
    ) throws(Fault) -> UpgradeReport {
        let files = StoreFiles(root: path)
        try StoreEngine.checkIsStore(files, environment)
        let start = ContinuousClock.now
        let keyring = try Keyring.open(
            path: files.keyring, environment: environment, secret: try key.secret(environment))
        let found = try version(keyring, files, environment)
        try files.requireWritable(environment)
        // Who writes to it now has nothing to fear.
        if found == Catalog.formatVersion {
            return UpgradeReport(
                versionBefore: found, versionAfter: found, seconds: (ContinuousClock.now - start) / .seconds(1))
        }
        let lock = try StoreEngine.takeLock(files, environment)
        defer { lock.release() }
        let chain = AuditChain(keyring: keyring, environment: environment)
        let before = try chain.upgrade(files.catalog)
        return UpgradeReport(
            versionBefore: before, versionAfter: Catalog.formatVersion,
            seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    /// The format of the catalog; refuses one that is too new or another store's, before anything is locked.
    private static func version(
        _ keyring: Keyring, _ files: StoreFiles, _ environment: Environment
    ) throws(Fault) -> Int {
        let catalog = try Catalog.open(path: files.catalog, mode: .reader, files: environment.files)
        defer { catalog.close() }
        let settings = try catalog.read { (reader) throws(Fault) in try reader.settings() }
        guard settings.storeID == keyring.storeID else {
            throw Fault(.wrongKey, "keyring and catalog belong to different stores", at: .init(file: files.root))
        }
        return settings.formatVersion
    }
}

extension AuditChain {
    /// Upgrades a catalog and records that it was, in one transaction; the version it had.
    func upgrade(_ catalog: String) throws(Fault) -> Int {
        try Catalog.upgrade(path: catalog, files: environment.files) { (version, last) throws(Fault) in
            let details = ["from": "\(version)", "to": "\(Catalog.formatVersion)"]
            return try link(
                AuditEntry(operation: "upgrade", reason: nil, details: details, actor: .own), after: last)
        }
    }
}
