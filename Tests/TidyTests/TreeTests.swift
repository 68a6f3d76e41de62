import Testing

/// The rules, applied to the project as it is.
@Suite("The tree is tidy")
struct TreeTests {
    private static let repository = Repository.here

    private static func swiftFiles() throws -> [SwiftFile] {
        try repository.files().filter { $0.isSwift && $0.path != "Package.swift" }
            .map { SwiftFile(path: $0.path, content: $0.content) }
    }

    @Test("The tree is found, so that these tests look at something")
    func treeIsFound() throws {
        let files = try Self.swiftFiles()
        #expect(files.contains { $0.path == "Sources/Core/Limits.swift" })
        #expect(files.contains { $0.path == "Tests/TidyTests/TreeTests.swift" })
        #expect(Set(files.map(\.room)).isSuperset(of: ImportRules.allowed.keys))
    }

    @Test("Rooms import only what lies below them, and only the front door is public")
    func imports() throws { expectNone(try Self.swiftFiles().flatMap(ImportRules.check)) }

    @Test("No banned calls, no unproven Sendable, no file without a purpose")
    func swiftText() throws { expectNone(try Self.swiftFiles().flatMap(TextRules.checkSwift)) }

    @Test("No leftovers, no paths of a machine")
    func anyText() throws {
        expectNone(try Self.repository.files().flatMap { TextRules.checkText(path: $0.path, content: $0.content) })
    }

    @Test("Files and functions are short, or in the ratchet and not longer than before")
    func lengths() throws {
        let measures = try Self.swiftFiles().map(LengthRules.measure).reduce(into: [:]) { $0.merge($1) { a, _ in a } }
        let ratchet = LengthRules.parseRatchet(try Self.repository.read(LengthRules.ratchetPath))
        expectNone(ratchet.findings + LengthRules.check(measures, ratchet: ratchet.entries))
    }

    @Test("Links in the documentation lead somewhere")
    func links() throws {
        let repository = Self.repository
        let library = DocumentRules.Library(content: { try? repository.read($0) }, exists: repository.exists)
        let pages = try repository.files().filter(\.isMarkdown)
        expectNone(
            pages.flatMap { DocumentRules.checkLinks(path: $0.path, content: $0.content, library: library) }
                + (try Self.swiftFiles().flatMap { DocumentRules.checkMentions($0, exists: repository.exists) }))
    }

    private func expectNone(_ findings: [Finding], at location: SourceLocation = #_sourceLocation) {
        for finding in findings { Issue.record("\(finding)", sourceLocation: location) }
    }
}
