// A catalog with damaged pages: what can be read of it becomes a new one, as far as segments tell the rest.

import EventStoreCatalog
import EventStoreCore

extension StoreFiles {
    /// The new catalog while it is made, and when it is whole and about to take the old one's place.
    var catalogBeingMade: String { catalog + ".new" }
    var catalogRepaired: String { catalog + ".repaired" }
    var catalogLog: String { catalog + "-wal" }
    var catalogIndex: String { catalog + "-shm" }
}

extension StoreRepair {
    /// Says `false` when there is nothing more to do: a dry run cannot look further than a damaged catalog.
    func repairCatalog() throws(Fault) -> Bool {
        let catalog = try Catalog.open(path: files.catalog, mode: .reader)
        defer { catalog.close() }
        // Numbers that do not add up are corrected in place, by a commit.
        let findings = try StoreRepair.findings(catalog).filter { finding in
            !finding.contains("in the totals") && !finding.contains("totals of a day")
        }
        guard let first = findings.first else { return true }
        guard !dryRun else {
            report.holesLeft = findings
            report.quarantined.append(
                .init(
                    file: files.catalog, to: nil,
                    message: "\(first); what can be read would be copied into a new catalog"))
            return false
        }
        for path in [files.catalogBeingMade, files.catalogBeingMade + "-wal", files.catalogBeingMade + "-shm"]
        where try environment.files.status(path) != nil {
            try environment.files.unlink(path)
        }
        let salvage: CatalogSalvage
        do throws(Fault) {
            salvage = try CatalogSalvage.copy(catalog, to: files.catalogBeingMade)
            let missing = salvage.damagedTables.subtracting(CatalogSalvage.replaceable).sorted()
            guard missing.isEmpty else { throw StoreRepair.cannot(first, missing, files) }
            try requireSound(first)
        } catch {
            try? environment.files.unlink(files.catalogBeingMade)
            guard error.code == .damaged || error.code == .cancelled || error.code == .io else { throw error }
            throw error.message.hasPrefix(first) ? error : StoreRepair.cannot(first, [], files)
        }
        try note(salvage, first)
        catalog.close()
        try exchangeCatalog(first)
        return true
    }

    /// A page that does not match its checksum ends SQLite's transaction: a finding as well, not a failure to look.
    private static func findings(_ catalog: Catalog) throws(Fault) -> [String] {
        do throws(Fault) {
            return try catalog.verify(full: true)
        } catch {
            guard error.code == .damaged || error.code == .cancelled else { throw error }
            return ["the catalog does not decode"]
        }
    }

    /// What the new catalog says may differ from the segments, which is repaired next, and in nothing else.
    private func requireSound(_ first: String) throws(Fault) {
        let copy = try Catalog.open(path: files.catalogBeingMade, mode: .reader)
        defer { copy.close() }
        let left = try StoreRepair.findings(copy).filter { finding in
            !["in the totals", "totals of a day", "its entities have", "entity rows belong", "keys of parts"].contains {
                finding.contains($0)
            }
        }
        if let finding = left.first { throw StoreRepair.cannot(first, [finding], files) }
    }

    private static func cannot(_ first: String, _ missing: [String], _ files: StoreFiles) -> Fault {
        let what = missing.isEmpty ? "" : " (\(missing.joined(separator: ", ")))"
        return Fault(
            .damaged,
            "\(first); what is damaged\(what) stands nowhere else, so that this cannot be repaired: save what can be "
                + "read with `export`, then `restore` a backup; nothing was changed", at: .init(file: files.catalog))
    }

    private func note(_ salvage: CatalogSalvage, _ first: String) throws(Fault) {
        for entry in salvage.lostEntries {
            report.losses.append(
                .init(
                    file: files.catalog, entity: nil, since: nil, until: nil, rows: entry.rows,
                    message: "journal entry \(entry.firstSequence): its page is damaged"))
        }
        if salvage.damagedTables.contains("journal") {
            report.losses.append(
                .init(
                    file: files.catalog, entity: nil, since: nil, until: nil,
                    rows: try missingRows() - salvage.lostEntries.reduce(0) { $0 + $1.rows },
                    message: "a page of the journal is damaged; counted by the sequences that are missing"))
        }
        if first.contains("-wal") {
            report.losses.append(
                .init(
                    file: files.catalogLog, entity: nil, since: nil, until: nil, rows: 0,
                    message: "\(first): how many events were appended after that is not known"))
        }
    }

    /// Sequences behind the newest segment that no journal entry has any more.
    private func missingRows() throws(Fault) -> Int {
        let copy = try Catalog.open(path: files.catalogBeingMade, mode: .reader)
        defer { copy.close() }
        return try copy.read { (reader) throws(Fault) in
            let flushed = try reader.segments(overlapping: nil).map(\.maxSequence).max() ?? 0
            let next = max(1, try reader.nextSequence())
            let left = try reader.journal(from: flushed + 1).reduce(0) { $0 + $1.rows }
            return max(0, Int(clamping: next) - 1 - Int(clamping: flushed) - left)
        }
    }

    /// Copies the old catalog and its log into quarantine, then puts the new one in its place.
    private func exchangeCatalog(_ message: String) throws(Fault) {
        let directory = try quarantineDirectory()
        for path in [files.catalog, files.catalogLog] where try environment.files.status(path) != nil {
            let target = Path.join(directory, Path.name(path))
            try copy(path, to: target)
            report.quarantined.append(.init(file: path, to: target, message: message))
        }
        try environment.files.syncDirectory(directory)
        try environment.files.rename(files.catalogBeingMade, to: files.catalogRepaired)
        try environment.files.syncDirectory(files.root)
        try finishExchange(files, environment)
    }

    private func copy(_ path: String, to target: String) throws(Fault) {
        let source = try environment.files.openForReading(path)
        defer { source.close() }
        let handle = try environment.files.create(target)
        defer { handle.close() }
        _ = try FileBytes.copy(source, to: handle)
        try handle.sync()
    }

    /// Also what an interrupted repair left to do. The old log goes before the new catalog comes: it belongs to the old.
    func finishExchange(_ files: StoreFiles, _ environment: Environment) throws(Fault) {
        guard try environment.files.status(files.catalogRepaired) != nil else { return }
        guard !dryRun else {
            throw Fault(
                .damaged, "a repair was interrupted; run `repair` once more", at: .init(file: files.catalogRepaired))
        }
        for path in [files.catalogLog, files.catalogIndex] where try environment.files.status(path) != nil {
            try environment.files.unlink(path)
        }
        try environment.files.syncDirectory(files.root)
        try environment.files.rename(files.catalogRepaired, to: files.catalog)
        try environment.files.syncDirectory(files.root)
    }
}
