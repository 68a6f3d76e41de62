/// Arguments made fit for the parser: `--since -24h` becomes `--since=-24h`, since a value that starts with a
/// dash would be taken for an option; and text that begins with a comment of SQL (`-- …`) gets a blank in front.

package enum PreparedArguments {
    /// Options whose value may start with a dash and a digit.
    private static let timeOptions: Set<String> = ["--since", "--until", "--now", "--from", "--bucket"]

    /// Stands before text that would be taken for an option.
    package static let guardBlank = " "

    package static func prepare(_ arguments: [String]) -> [String] {
        var result: [String] = []
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            if argument == "--" { return result + arguments[index...] }
            if timeOptions.contains(argument), index + 1 < arguments.count, isNegativeNumber(arguments[index + 1]) {
                result.append(argument + "=" + arguments[index + 1])
                index += 2
            } else {
                result.append(isComment(argument) ? guardBlank + argument : argument)
                index += 1
            }
        }
        return result
    }

    /// No option's name has a blank in it.
    private static func isComment(_ text: String) -> Bool {
        text.hasPrefix("--") && text.dropFirst(2).first?.isWhitespace == true
    }

    private static func isNegativeNumber(_ text: String) -> Bool {
        guard text.first == "-", let second = text.dropFirst().first else { return false }
        return second.isASCII && second.isNumber
    }
}
