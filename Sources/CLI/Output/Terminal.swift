/// What the place we write to can do: is it a terminal, how wide, colours, Unicode.

import Foundation

package struct Terminal: Sendable {
    package static let defaultWidth = 80

    /// Standard output is a terminal.
    package var isTerminal = false
    package var width = Terminal.defaultWidth
    package var colours = false
    package var unicode = true

    package init(isTerminal: Bool = false, width: Int = 80, colours: Bool = false, unicode: Bool = true) {
        self.isTerminal = isTerminal
        self.width = width
        self.colours = colours
        self.unicode = unicode
    }

    /// Standard output as it is now.
    package static func current(environment: [String: String] = ProcessInfo.processInfo.environment) -> Terminal {
        let isTerminal = isatty(1) == 1
        return Terminal(
            isTerminal: isTerminal,
            width: width(environment: environment, isTerminal: isTerminal),
            colours: colours(environment: environment, isTerminal: isTerminal),
            unicode: unicode(environment: environment))
    }

    /// Colours: never with a non-empty `NO_COLOR`, always with `CLICOLOR_FORCE`, else on a capable terminal.
    package static func colours(environment: [String: String], isTerminal: Bool) -> Bool {
        if let value = environment["NO_COLOR"], !value.isEmpty { return false }
        if let value = environment["CLICOLOR_FORCE"], !value.isEmpty, value != "0" { return true }
        return isTerminal && environment["TERM"] != "dumb"
    }

    /// The locale's character set: the first of the three variables that is set decides; none set is UTF-8.
    package static func unicode(environment: [String: String]) -> Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = environment[name]?.lowercased(), !value.isEmpty else { continue }
            return value.contains("utf-8") || value.contains("utf8")
        }
        return true
    }

    private static func width(environment: [String: String], isTerminal: Bool) -> Int {
        if let text = environment["COLUMNS"], let columns = Int(text), columns >= 20 { return columns }
        guard isTerminal else { return defaultWidth }
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else { return defaultWidth }
        return Int(size.ws_col)
    }

    /// Text in bold where colours are allowed.
    package func bold(_ text: String) -> String { colours ? "\u{1b}[1m\(text)\u{1b}[0m" : text }

    /// Text in grey where colours are allowed.
    package func faint(_ text: String) -> String { colours ? "\u{1b}[2m\(text)\u{1b}[0m" : text }
}
