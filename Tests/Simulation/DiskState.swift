// What is on a simulated disk: directories and files as numbered nodes, as an inode is one whatever its names are.

import EventStoreCore

/// Contents of a disk at one moment; a value, cheap to copy.
package struct DiskState: Sendable {
    /// Node of the directory everything is in.
    package static let root = 0
    /// Names in a directory, by the directory's node.
    package private(set) var directories: [Int: [String: Int]] = [DiskState.root: [:]]
    package private(set) var files: [Int: [UInt8]] = [:]
    /// Digests of file contents that were not changed since they were taken.
    private var digests: [Int: UInt64] = [:]
    /// Nodes are never reused.
    package private(set) var nextNode = 1

    package init() {}

    // MARK: Looking

    /// The node a path below the root leads to; components are separated by "/".
    package func node(_ path: some StringProtocol) -> Int? {
        var node = DiskState.root
        for name in path.split(separator: "/") {
            guard let next = directories[node]?[String(name)] else { return nil }
            node = next
        }
        return node
    }

    package func isDirectory(_ node: Int) -> Bool { directories[node] != nil }

    /// Paths of all files that can be reached, sorted, each with its node.
    package func reachable() -> [(path: String, node: Int)] {
        var found: [(path: String, node: Int)] = []
        func walk(_ directory: Int, _ prefix: String) {
            for (name, node) in directories[directory] ?? [:] {
                if isDirectory(node) {
                    found.append((prefix + name + "/", node))
                    walk(node, prefix + name + "/")
                } else {
                    found.append((prefix + name, node))
                }
            }
        }
        walk(DiskState.root, "")
        return found.sorted { $0.path < $1.path }
    }

    // MARK: Changing

    /// A node that no name leads to yet.
    mutating func addFile(_ node: Int) {
        nextNode = max(nextNode, node + 1)
        if files[node] == nil { files[node] = [] }
    }

    mutating func addDirectory(_ node: Int) {
        nextNode = max(nextNode, node + 1)
        if directories[node] == nil { directories[node] = [:] }
    }

    /// Puts a file somewhere below the root, with the directories that lead to it.
    package mutating func put(_ path: String, _ bytes: [UInt8]) {
        var directory = DiskState.root
        let names = path.split(separator: "/").map(String.init)
        for name in names.dropLast() {
            let next = directories[directory]?[name] ?? nextNode
            addDirectory(next)
            directories[directory, default: [:]][name] = next
            directory = next
        }
        let file = nextNode
        addFile(file)
        files[file] = bytes
        directories[directory, default: [:]][names.last ?? ""] = file
    }

    /// Applies an operation as if it were durable at once. Syncs and marks change nothing.
    package mutating func apply(_ operation: DiskOperation) {
        switch operation {
        case .create(let directory, let name, let node):
            addFile(node)
            directories[directory, default: [:]][name] = node
        case .makeDirectory(let directory, let name, let node):
            addDirectory(node)
            directories[directory, default: [:]][name] = node
        case .rename(let from, let name, let to, let newName, let node):
            directories[from]?[name] = nil
            directories[to, default: [:]][newName] = node
        case .unlink(let directory, let name): directories[directory]?[name] = nil
        case .write(let file, let offset, let bytes): write(file, offset, bytes[...])
        case .truncate(let file, let size): truncate(file, size)
        case .zero(let file, let range): write(file, range.lowerBound, [UInt8](repeating: 0, count: range.count)[...])
        case .syncFile, .syncDirectory, .mark: break
        }
    }

    package mutating func write(_ file: Int, _ offset: Int, _ bytes: ArraySlice<UInt8>) {
        digests[file] = nil
        let end = offset + bytes.count
        let size = files[file]?.count ?? 0
        if size < end { files[file, default: []].append(contentsOf: repeatElement(0, count: end - size)) }
        files[file]?.replaceSubrange(offset..<end, with: bytes)
    }

    private mutating func truncate(_ file: Int, _ size: Int) {
        digests[file] = nil
        let known = files[file]?.count ?? 0
        if known > size {
            files[file]?.removeLast(known - size)
        } else {
            files[file, default: []].append(contentsOf: repeatElement(0, count: size - known))
        }
    }

    /// What a process or a power cut leaves behind is no longer reachable by anybody: forgotten.
    package mutating func forgetUnreachable() {
        let kept = Set(reachable().map(\.node))
        files = files.filter { kept.contains($0.key) }
        digests = digests.filter { kept.contains($0.key) }
        directories = directories.filter { $0.key == DiskState.root || kept.contains($0.key) }
    }

    // MARK: Digests

    /// Takes the digests of all files, so that copies of this state need not.
    package mutating func takeDigests() {
        for (node, bytes) in files where digests[node] == nil { digests[node] = DiskState.digest(bytes) }
    }

    /// Equal for equal trees, whatever the nodes' numbers. Files named in `without` do not count.
    package func digest(without ignored: Set<String> = []) -> UInt64 {
        var sum: UInt64 = 0
        for (path, node) in reachable() where !ignored.contains(path) {
            var hash = DiskState.digest(Array(path.utf8))
            if let bytes = files[node] { hash ^= (digests[node] ?? DiskState.digest(bytes)) &* 0x9e37_79b9_7f4a_7c15 }
            sum = (sum ^ hash) &* 0x2127_599b_f432_5c37
            sum ^= sum >> 29
        }
        return sum
    }

    static func digest(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { raw in
            var hash = UInt64(raw.count) &* 0xff51_afd7_ed55_8ccd
            var offset = 0
            while offset + 8 <= raw.count {
                hash = (hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xc4ce_b9fe_1a85_ec53
                hash ^= hash >> 32
                offset += 8
            }
            while offset < raw.count {
                hash = (hash ^ UInt64(raw[offset])) &* 0x0000_0100_0000_01b3
                offset += 1
            }
            return hash ^ hash >> 29
        }
    }
}

/// One operation of a simulated disk, as it stands in the log. Files and directories are named by their nodes.
package enum DiskOperation: Sendable {
    case create(directory: Int, name: String, node: Int)
    case makeDirectory(directory: Int, name: String, node: Int)
    case rename(from: Int, name: String, to: Int, newName: String, node: Int)
    case unlink(directory: Int, name: String)
    case write(file: Int, offset: Int, bytes: [UInt8])
    case truncate(file: Int, size: Int)
    /// Punched or zeroed.
    case zero(file: Int, range: Range<Int>)
    case syncFile(Int)
    case syncDirectory(Int)
    /// What the workload says of itself: it begins step n, or it knows that step n has succeeded.
    case mark(DiskMark)
}

package enum DiskMark: Sendable, Equatable {
    case begins(Int)
    case acknowledged(Int)
}
