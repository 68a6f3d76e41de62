/// Asks for a passphrase on the controlling terminal, without echo.
///
/// The terminal's settings are put back on every way out, Ctrl-C included: signals are read as characters
/// meanwhile.

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

enum Passphrase {
    /// Somebody can be asked.
    static var canAsk: Bool { isatty(0) == 1 && isatty(2) == 1 }

    static func ask(_ prompt: String) throws -> [UInt8] {
        let descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw CLIFailure(code: "not-found", message: "no terminal to ask on") }
        defer { close(descriptor) }
        var saved = termios()
        guard tcgetattr(descriptor, &saved) == 0 else {
            throw CLIFailure(code: "io", message: "the terminal's settings cannot be read")
        }
        var silent = saved
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        guard tcsetattr(descriptor, TCSAFLUSH, &silent) == 0 else {
            throw CLIFailure(code: "io", message: "the terminal's echo cannot be switched off")
        }
        defer { tcsetattr(descriptor, TCSAFLUSH, &saved) }
        say(prompt, to: descriptor)
        defer { say("\n", to: descriptor) }
        return try readLine(descriptor)
    }

    /// Asks twice and compares.
    static func askNew() throws -> [UInt8] {
        let first = try ask("New passphrase: ")
        guard !first.isEmpty else { throw CLIFailure.usage("an empty passphrase protects nothing") }
        guard try ask("Once more: ") == first else { throw CLIFailure.usage("the two passphrases differ") }
        return first
    }

    private static func readLine(_ descriptor: Int32) throws -> [UInt8] {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return line }
            switch byte {
            case 0x0A, 0x0D: return line
            case 0x03, 0x04: throw CLIFailure(code: "cancelled", message: "no passphrase was given")
            case 0x7F, 0x08: dropCharacter(&line)
            case 0x15: line.removeAll()
            default: line.append(byte)
            }
        }
    }

    /// Removes one UTF-8 character, not one byte.
    private static func dropCharacter(_ line: inout [UInt8]) {
        while let last = line.popLast(), last & 0xC0 == 0x80 {}
    }

    private static func say(_ text: String, to descriptor: Int32) {
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
