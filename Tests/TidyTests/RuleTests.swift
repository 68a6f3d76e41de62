import Testing

/// Every rule, with a violation planted for it and an innocent neighbour beside it.
@Suite("Rules")
struct RuleTests {
    private let purpose = "// The purpose of this file, in so many words.\n"

    private func lines(_ findings: [Finding]) -> [Int] { findings.map(\.line) }

    private func file(_ path: String, _ content: String) -> SwiftFile {
        SwiftFile(path: path, content: purpose + content)
    }

    @Test("A lower room does not import a higher one, a foreign library has one room")
    func imports() {
        func check(_ room: String, _ line: String) -> [Int] {
            lines(ImportRules.check(file("Sources/\(room)/A.swift", line)))
        }
        #expect(check("Core", "import EventStoreCrypto") == [2])
        #expect(check("Core", "import Foundation") == [2])
        #expect(check("Core", "#if canImport(Glibc)\nimport Glibc\n#endif") == [])
        #expect(check("Segments", "package import EventStoreCrypto") == [2])
        #expect(check("Segments", "import CLZ4\nimport CLibCrypto") == [3])
        #expect(check("Query", "@preconcurrency import struct GRDB.Row") == [2])
        #expect(check("Catalog", "import GRDB // import EventStoreQuery") == [])
        #expect(check("CLI", "import EventStoreCore") == [2])
        #expect(check("Ingest", "let a = \"import GRDB\"") == [])
        #expect(check("Attic", "") == [0])
    }

    @Test("Only the front door is public")
    func visibility() {
        func check(_ room: String, _ line: String) -> [Int] {
            lines(ImportRules.check(file("Sources/\(room)/A.swift", line)))
        }
        #expect(check("Core", "package struct A {}\npublic struct B {}") == [3])
        #expect(check("Core", "open class A {}") == [2])
        #expect(check("Core", "open(path)\n// public\nlet a = \"public\"") == [])
        #expect(check("EventStore", "public struct B {}") == [])
    }

    @Test(
        "Banned calls are found in code, and in code only",
        arguments: [
            "try! f()", "let a = b as! C", "a.unsafelyUnwrapped", "fatalError(\"no\")", "print(1)", "\"\\(try! f())\"",
        ])
    func bannedCalls(_ call: String) {
        #expect(lines(TextRules.checkSwift(file("Sources/Core/A.swift", call))) == [2])
        #expect(TextRules.checkSwift(file("Sources/Core/A.swift", "// \(call)")).isEmpty)
    }

    @Test("What only looks like a banned call is allowed")
    func allowedCalls() {
        let innocent =
            "try f()\na as? B\na = b ! c\nself.print(1)\nprecondition(a)\nlet s = \"print( as! try!\"\ntry !f()"
        #expect(TextRules.checkSwift(file("Sources/Core/A.swift", innocent)).isEmpty)
        #expect(TextRules.checkSwift(file("Sources/CLI/A.swift", "print(1)")).isEmpty)
        #expect(TextRules.checkSwift(file("Tests/CoreTests/A.swift", "print(1)")).isEmpty)
        #expect(lines(TextRules.checkSwift(file("Tests/CoreTests/A.swift", "try! f()"))) == [2])
    }

    @Test("`@unchecked Sendable` carries its proof")
    func proofs() {
        let declaration = "final class A: @unchecked Sendable {\n"
        let proof = "// Sendable: everything mutable lies behind the lock of `state`.\n"
        func check(_ content: String) -> [Int] {
            lines(TextRules.checkSwift(file("Sources/Core/A.swift", "let a = 1\n" + content)))
        }
        #expect(check(declaration + "}") == [3])
        #expect(check("// Something else altogether, and long enough to look like it.\n" + declaration + "}") == [4])
        #expect(check(proof + declaration + "}") == [])
        #expect(check(proof + "@usableFromInline\n" + declaration + "}") == [])
        #expect(check(declaration + proof + "}") == [])
        #expect(check(proof + "\n" + declaration + "}") == [5])
        #expect(check("extension A: @unchecked Sendable {}") == [3])
    }

    @Test("A file opens with its purpose, after its imports")
    func purposes() {
        func check(_ content: String) -> Int {
            TextRules.checkSwift(SwiftFile(path: "Sources/Core/A.swift", content: content)).count
        }
        #expect(check("struct A {}\n") == 1)
        #expect(check("// A.swift\nstruct A {}\n") == 1)
        #expect(check("struct A {}\n// The purpose comes too late in this file.\n") == 1)
        #expect(
            check(
                "#if canImport(Glibc)\nimport Glibc\n#endif\n\n/// What this type is there for, said in words.\nstruct A {}"
            ) == 0)
        #expect(check("package import A\nimport B\n// What this file is there\n// for, in words.\nstruct A {}") == 0)
    }

    @Test("Leftovers and machine paths are found in any text")
    func text() {
        func check(_ line: String) -> Int { TextRules.checkText(path: "docs/a.md", content: line).count }
        #expect(check("// TO" + "DO: later") == 1)
        #expect(check("FIX" + "ME") == 1)
        #expect(check("mktemp /tmp/a" + String(repeating: "X", count: 6)) == 0)
        #expect(check("cd /ho" + "me/ann/project") == 1)
        #expect(check("`/wo" + "rk/a`") == 1)
        #expect(check("https://example.org/ho" + "me/index.html, $HOME/ho" + "me/x, GET \"/ho" + "me/\"") == 0)
    }

    @Test("Too long a file, too long a function")
    func lengths() {
        func findings(_ content: String, ratchet: String = "") -> [Finding] {
            let measures = LengthRules.measure(SwiftFile(path: "Sources/Core/A.swift", content: content))
            let parsed = LengthRules.parseRatchet(ratchet)
            return parsed.findings + LengthRules.check(measures, ratchet: parsed.entries)
        }
        func lines(_ count: Int) -> String { String(repeating: "\n", count: count) }
        func function(_ count: Int) -> String { "func a(_ b: Int) {" + lines(count - 1) + "}\n" }

        #expect(findings(lines(600)).isEmpty)
        #expect(findings(lines(601)).count == 1)
        #expect(findings(function(70)).isEmpty)
        #expect(findings("\n" + function(71)).map(\.line) == [2])

        let ratchet = "# today\nfile Sources/Core/A.swift 700\nfunction Sources/Core/A.swift a(_:) 80\n"
        #expect(findings(function(80) + lines(620), ratchet: ratchet).isEmpty)
        #expect(findings(function(75) + lines(600), ratchet: ratchet).isEmpty, "a listed file may shrink")
        #expect(findings(function(81) + lines(600), ratchet: ratchet).map(\.line) == [1], "but not grow")
        #expect(findings(function(80) + lines(630), ratchet: ratchet).map(\.line) == [0])
        let spent = findings(function(70) + lines(530), ratchet: ratchet)
        #expect(spent.count == 2 && spent.allSatisfy { $0.message.contains("remove its line") })
        #expect(findings("", ratchet: "file Sources/Core/Gone.swift 700").first?.message.contains("is gone") == true)
        #expect(findings("", ratchet: "file A.swift").map(\.line) == [1])
    }

    @Test("Links lead to files and headings that exist")
    func links() {
        let pages = ["README.md": "# A store\n## Two  words & more\n", "docs/a.md": "# A\n"]
        let library = DocumentRules.Library(content: { pages[$0] }, exists: { pages[$0] != nil || $0 == "docs" })
        func check(_ content: String, from path: String = "docs/a.md") -> [Int] {
            lines(DocumentRules.checkLinks(path: path, content: content, library: library))
        }
        #expect(check("[a](a.md) [b](../README.md#a-store) [c](https://example.org/x) [d](../docs)") == [])
        #expect(check("[a](../README.md#two--words--more)") == [])
        #expect(check("\n[a](b.md)") == [2])
        #expect(check("[a](../README.md#nowhere) [b](#a) [c](#b)") == [1, 1])
        #expect(check("[a](docs/a.md \"Title\") and [b](docs/b.md)", from: "README.md") == [1])
        #expect(check("`[a](b.md)`\n```\n[a](b.md)\n```\n") == [])
    }

    @Test("A page named in a comment exists")
    func mentions() {
        func check(_ comment: String) -> [Int] {
            lines(DocumentRules.checkMentions(file("Sources/Core/A.swift", comment), exists: { $0 == "docs/a.md" }))
        }
        #expect(check("// See docs/a.md.\n/// and `docs/b.md`") == [3])
    }
}
