// Typed tables as sources of an import: Parquet files and SQLite databases, found out by their first bytes.

import EventStoreCatalog
import EventStoreCore
import EventStoreIngest
import EventStoreParquet

/// A table whose rows become events. Used by one thread.
protocol TableSource: AnyObject {
    /// Bytes of the file, about, that were read so far.
    var bytesRead: Int { get }
    /// About so many of the next rows, as far as they can be taken; `nil` at the end.
    func next(rows: Int) throws(Fault) -> RowBatch?
    /// The counts since the last call.
    func takeReport() -> ParseReport
}

enum TableSources {
    private static let parquetMagic = Array("PAR1".utf8)
    private static let sqliteMagic = Array("SQLite format 3\0".utf8)

    /// Files in the place of directories, in the order of their names.
    static func expand(_ sources: [String], _ files: any FileSystem) throws(Fault) -> [String] {
        var expanded: [String] = []
        for source in sources {
            guard source != "-", try files.status(source)?.isDirectory == true,
                try !StoreTable.isStore(source, files)
            else {
                expanded.append(source)
                continue
            }
            var found: [String] = []
            try collect(source, files, into: &found)
            guard !found.isEmpty else {
                throw Fault(
                    .invalid,
                    "there are no *.parquet files in this directory, nor is it a store; give the names of other files",
                    at: .init(file: source))
            }
            expanded += found.sorted()
        }
        return expanded
    }

    /// Bytes of a source, for progress.
    static func size(_ source: String, _ files: any FileSystem) throws(Fault) -> Int {
        if try StoreTable.isStore(source, files) { return try StoreTable.size(source, files) }
        return (try files.status(source))?.size ?? 0
    }

    private static func collect(
        _ directory: String, _ files: any FileSystem, into found: inout [String], depth: Int = 0
    ) throws(Fault) {
        guard depth < 16 else { return }
        for name in try files.list(directory) where !name.hasPrefix(".") && !name.hasPrefix("_") {
            let path = Path.join(directory, name)
            if try files.status(path)?.isDirectory == true {
                try collect(path, files, into: &found, depth: depth + 1)
            } else if name.hasSuffix(".parquet") {
                found.append(path)
            }
        }
    }

    /// The table at a path; `nil` for what is read by lines.
    static func open(
        _ path: String, format: ImportRequest.Format, options: InputOptions, identity: any LineIdentity,
        _ files: any FileSystem, store: (String) throws(Fault) -> StoreTable
    ) throws(Fault) -> (any TableSource)? {
        guard options.logFormat == nil else { return nil }
        let wanted = format == .auto ? try detect(path, files) : format
        if wanted == .store { return try store(path) }
        guard wanted == .parquet || wanted == .sqlite else { return nil }
        guard path != "-" else {
            throw Fault(.invalid, "\(wanted.rawValue) cannot be read from standard input; give a file")
        }
        if wanted == .parquet { return try ParquetTable(path, options: options, identity: identity, files) }
        return try SQLiteTable(path, options: options, identity: identity, files)
    }

    private static func detect(_ path: String, _ files: any FileSystem) throws(Fault) -> ImportRequest.Format {
        if try StoreTable.isStore(path, files) { return .store }
        // Pipes are not to be read from here.
        guard path != "-", let status = try files.status(path), !status.isDirectory, status.size >= 16 else {
            return .auto
        }
        let file = try files.openForReading(path)
        defer { file.close() }
        var bytes = [UInt8](repeating: 0, count: 16)
        try bytes.withMutableBytes { (bytes) throws(Fault) in try file.read(into: bytes, at: 0) }
        if bytes.starts(with: parquetMagic) { return .parquet }
        return bytes == sqliteMagic ? .sqlite : .auto
    }
}
