/// How a command fails: a stable code, a sentence, an exit code.

import EventStore

package struct CLIFailure: Error, CustomStringConvertible {
    package static let couldNot: Int32 = 1
    package static let foundSomething: Int32 = 2
    package static let wrongUsage: Int32 = 64
    package static let inputRefused: Int32 = 65

    package let exitCode: Int32
    /// The stable word between the brackets of `error[…]`.
    package let code: String
    package let message: String
    /// Lines said before the last one, such as the part of a query that is meant.
    package let context: [String]

    package init(
        code: String, message: String, exitCode: Int32 = CLIFailure.couldNot, context: [String] = []
    ) {
        self.code = code
        self.message = message
        self.exitCode = exitCode
        self.context = context
    }

    /// Wrong arguments: exit code 64.
    package static func usage(_ message: String) -> CLIFailure {
        CLIFailure(code: "usage", message: message, exitCode: wrongUsage)
    }

    /// The holder of the store gave what the operation does not give.
    static let oddAnswer = CLIFailure(
        code: "invalid", message: "the holder of the store gave an answer that makes no sense; is it another version?")

    /// A failure of the store. `invalid` is an argument that makes no sense, hence wrong usage.
    package init(_ error: EventStoreError, context: [String] = []) {
        self.init(
            code: error.code.rawValue, message: error.message,
            exitCode: error.code == .invalid ? CLIFailure.wrongUsage : CLIFailure.couldNot, context: context)
    }

    /// The last line of standard error; line ends inside the message are made spaces.
    package var lastLine: String {
        let flat = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        return "error[\(code)]: \(flat)"
    }

    package var description: String { lastLine }
}
