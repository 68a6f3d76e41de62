/// Asks before what cannot be undone: on the terminal, never where nobody can answer.

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

enum Confirmation {
    /// Returns when the question was answered with `wanted`; where nobody can be asked, `--yes` is the answer.
    static func require(_ question: String, answer wanted: String, yes: Bool, doing what: String) throws {
        if yes { return }
        guard Passphrase.canAsk else {
            throw CLIFailure.usage("\(what) needs --yes where nobody can be asked")
        }
        guard try answer(question) == wanted else {
            throw CLIFailure(code: "cancelled", message: "not confirmed; nothing was changed")
        }
    }

    private static func answer(_ question: String) throws -> String {
        Diagnostics.raw(question)
        return readLine(strippingNewline: true)?.trimmingCharacters(in: .whitespaces) ?? ""
    }
}
