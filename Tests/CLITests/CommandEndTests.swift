/// Exit codes and the last line of standard error.

import ArgumentParser
import EventStore
import EventStoreCLI
import EventStoreCore
import Testing

@Suite("How commands end")
struct CommandEndTests {
    private static let contractCodes = [
        "not-found", "wrong-key", "key-erased", "damaged", "tampered", "locked", "disk-full", "poisoned", "read-only",
        "too-new", "clock", "permission",
    ]

    @Test("A failure of the store exits with 1 and its stable code", arguments: contractCodes + ["io", "exists"])
    func failures(code: String) {
        let end = CommandEnd(of: EventStoreError(Fault(Fault.Code(rawValue: code), "what happened")))
        #expect(end.exitCode == 1)
        #expect(end.output.isEmpty)
        #expect(end.diagnostics == ["error[\(code)]: what happened"])
    }

    @Test func contractCodesAreTheStores() {
        let known: [Fault.Code] = [
            .notFound, .wrongKey, .keyErased, .damaged, .tampered, .locked, .diskFull, .poisoned, .readOnly, .tooNew,
            .clock, .permission,
        ]
        #expect(known.map(\.rawValue) == Self.contractCodes)
    }

    @Test func argumentsThatMakeNoSenseAreWrongUsage() {
        let end = CommandEnd(of: EventStoreError(Fault(.invalid, "no such plan")))
        #expect(end.exitCode == 64)
        #expect(end.diagnostics == ["error[invalid]: no such plan"])
    }

    @Test func theMessageStaysOnOneLine() {
        let end = CommandEnd(of: CLIFailure(code: "io", message: "first\nsecond\r\nthird"))
        #expect(end.diagnostics == ["error[io]: first second third"])
    }

    @Test func ownFailures() {
        #expect(CommandEnd(of: CLIFailure.usage("x")).exitCode == 64)
        let found = CLIFailure(code: "damaged", message: "x", exitCode: CLIFailure.foundSomething)
        #expect(CommandEnd(of: found).exitCode == 2)
        let refused = CLIFailure(code: "refused", message: "x", exitCode: CLIFailure.inputRefused)
        #expect(CommandEnd(of: refused).exitCode == 65)
    }

    @Test func aReaderThatWentAwayIsNoFailure() {
        let end = CommandEnd(of: OutputClosed())
        #expect(end == CommandEnd(of: OutputClosed()))
        #expect(end.exitCode == 0 && end.output.isEmpty && end.diagnostics.isEmpty)
    }

    @Test func otherErrorsAreCouldNotBeDone() {
        struct Odd: Error {}
        let end = CommandEnd(of: Odd())
        #expect(end.exitCode == 1)
        #expect(end.diagnostics.last?.hasPrefix("error[io]: ") == true)
    }
}
