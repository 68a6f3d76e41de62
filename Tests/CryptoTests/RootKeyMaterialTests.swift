// Keys and passphrases from files, the environment and commands, in every spelling.

import EventStoreCore
import EventStoreCrypto
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct RootKeyMaterialTests {
    private let raw = TestRandom(seed: 11).bytes(32)

    private func parsed(_ content: [UInt8]) throws -> [UInt8] {
        clear(try RootKeyMaterial.key(from: secret(content)))
    }

    @Test func keysInEverySpelling() throws {
        let base64 = Array("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".utf8)
        let counting = [UInt8](0..<32)
        for end in ["", "\n", "\r\n"].map({ Array($0.utf8) }) {
            #expect(try parsed(Array(hex(raw).utf8) + end) == raw)
            #expect(try parsed(Array(hex(raw).uppercased().utf8) + end) == raw)
            #expect(try parsed(base64 + end) == counting)
            #expect(try parsed(Array(base64.dropLast()) + end) == counting)
            if end.count < 2 { #expect(try parsed(raw + end) == raw) }
        }
        let high = [UInt8](repeating: 0xff, count: 32)
        #expect(try parsed(Array((String(repeating: "/", count: 42) + "8=").utf8)) == high)
        #expect(try parsed(Array((String(repeating: "_", count: 42) + "8").utf8)) == high)
        // Exactly 32 bytes are raw, whatever they look like.
        let newlines = [UInt8](repeating: 0x0a, count: 32)
        #expect(try parsed(newlines) == newlines)
    }

    @Test func otherThingsAreNoKeys() {
        let bad: [String] = [
            "", "\n", "abc", String(repeating: "a", count: 63), String(repeating: "g", count: 64),
            String(repeating: "a", count: 64) + "\n\n", " " + String(repeating: "a", count: 64),
            String(repeating: "/", count: 43), String(repeating: "A", count: 44), String(repeating: "!", count: 43),
            String(repeating: "a", count: 31),
        ]
        for text in bad { #expect(faultCode { _ = try parsed(Array(text.utf8)) } == .invalid, "\(text.count)") }
    }

    @Test func passphrasesLoseOneNewline() throws {
        func passphrase(_ text: String) throws -> String {
            try RootKeyMaterial.passphrase(from: secret(text)).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
        #expect(try passphrase("a b \n") == "a b ")
        #expect(try passphrase("a\n\n") == "a\n")
        #expect(faultCode { _ = try passphrase("\n") } == .invalid)
        #expect(faultCode { _ = try passphrase("") } == .invalid)
    }

    @Test func keyFilesRoundTripAndWarnWhenExposed() throws {
        let directory = "/tmp/crypto-tests-\(getpid())-\(UInt32.random(in: .min ... .max))"
        let files = PosixFileSystem()
        let environment = Environment()
        try files.makeDirectory(directory)
        defer { try? files.removeDirectory(directory) }
        let path = Path.join(directory, "key")
        let link = Path.join(directory, "link")
        let new = SecretKey(random: environment)
        try RootKeyMaterial.createKeyFile(path, key: new, environment: environment)
        defer { try? files.unlink(path) }
        symlink(path, link)
        defer { try? files.unlink(link) }
        #expect(faultCode { try RootKeyMaterial.createKeyFile(path, key: new, environment: environment) } == .exists)
        for name in [path, link] {
            let (read, isExposed) = try RootSecret.keyFile(name, environment: environment)
            guard case .key(let found, .keyFile) = read else { return #expect(Bool(false)) }
            #expect(clear(found) == clear(new) && !isExposed)
        }
        chmod(path, 0o640)
        #expect(try RootKeyMaterial.readFile(path, environment: environment).isExposed)
        #expect(try RootKeyMaterial.readFile(link, environment: environment).isExposed)
        #expect(faultCode { _ = try RootSecret.keyFile(directory + "/none", environment: environment) } == .notFound)
    }

    @Test func environmentVariables() throws {
        setenv("CRYPTO_TESTS_KEY", hex(raw), 1)
        guard case .key(let found, .environment) = try RootSecret.environment(variable: "CRYPTO_TESTS_KEY") else {
            return #expect(Bool(false))
        }
        #expect(clear(found) == raw)
        #expect(faultCode { _ = try RootSecret.environment(variable: "CRYPTO_TESTS_NO_SUCH") } == .notFound)
    }

    @Test func commands() throws {
        guard case .key(let found, .command) = try RootSecret.command("echo \(hex(raw))") else {
            return #expect(Bool(false))
        }
        #expect(clear(found) == raw)
        func run(_ command: String, _ timeoutSeconds: Int = 20) throws -> [UInt8] {
            try RootKeyMaterial.runCommand(command, timeoutSeconds: timeoutSeconds).withUnsafeBytes { [UInt8]($0) }
        }
        #expect(try run("cat; printf 'a\\000b'") == [0x61, 0, 0x62], "standard input is empty")
        #expect(try run("printf '%4096s' x").count == 4_096)
        #expect(try run("true").isEmpty)
        #expect(faultCode { _ = try run("printf '%4097s' x") } == .invalid)
        #expect(faultCode { _ = try run("yes") } == .invalid)
        #expect(faultCode { _ = try run("echo key; exit 3") } == .invalid)
        #expect(faultCode { _ = try run("exec sleep 30", 1) } == .invalid)
        #expect(faultCode { _ = try run("no-such-command-here 2>/dev/null") } == .invalid)
    }
}
