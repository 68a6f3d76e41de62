import Foundation

/// The source tree these tests look after, found from this file's own place in it.
struct Repository {
    let root: String

    static let here = Repository(root: parent(parent(parent(#filePath))))

    private static func parent(_ path: String) -> String { (path as NSString).deletingLastPathComponent }

    /// A text file of the project; `path` is relative to the root.
    struct File {
        let path: String
        let content: String

        var isSwift: Bool { path.hasSuffix(".swift") }
        var isMarkdown: Bool { path.hasSuffix(".md") }
        /// `Core` for `Sources/Core/Bytes.swift`, otherwise empty.
        var room: String {
            let parts = path.split(separator: "/")
            return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : ""
        }
    }

    /// What belongs to the project. Build products, fetched packages and measurement data do not.
    private static let folders = ["Sources", "Tests", "Examples", "Benchmarks", "docs", "scripts", ".ci"]
    private static let skippedFolders: Set<String> = [".build", ".git", "bench-work", "__pycache__", "Fixtures"]
    private static let textEndings: Set<String> = [
        "swift", "md", "txt", "py", "sh", "h", "modulemap", "json", "yml", "",
    ]

    func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }

    func read(_ path: String) throws -> String { try String(contentsOfFile: root + "/" + path, encoding: .utf8) }

    /// All text files, sorted by path.
    func files() throws -> [File] {
        var paths = try FileManager.default.contentsOfDirectory(atPath: root).filter {
            $0 != ".git" && isFile(root + "/" + $0)
        }
        for folder in Self.folders { collect(folder, into: &paths) }
        return try paths.sorted().filter { Self.textEndings.contains(($0 as NSString).pathExtension) }
            .map { File(path: $0, content: try read($0)) }
    }

    private func isFile(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
    }

    private func collect(_ folder: String, into paths: inout [String]) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root + "/" + folder)) ?? []
        for name in names where !Self.skippedFolders.contains(name) {
            let path = folder + "/" + name
            if isFile(root + "/" + path) { paths.append(path) } else { collect(path, into: &paths) }
        }
    }
}
