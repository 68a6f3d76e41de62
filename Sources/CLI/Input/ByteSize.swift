/// Sizes and counts as people type them: 500000, 20GB, 512MiB, none.

import ArgumentParser

/// A limit in bytes. `none` is 0, which takes a limit away.
package struct ByteSize: ExpressibleByArgument, Equatable, Sendable {
    package var bytes: Int

    private static let units: [String: Int] = [
        "": 1, "b": 1, "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000, "kib": 1 << 10,
        "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    ]

    package init?(argument: String) {
        if argument == "none" {
            bytes = 0
            return
        }
        let digits = argument.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let unit = argument.dropFirst(digits.count).trimmingPrefix(" ").lowercased()
        guard let factor = ByteSize.units[unit], let number = Double(digits), number > 0 else { return nil }
        let bytes = (number * Double(factor)).rounded()
        guard bytes >= 1, bytes < 9e18 else { return nil }
        self.bytes = Int(bytes)
    }
}

/// A limit of events; `none` is 0, which takes a limit away.
package struct EventLimit: ExpressibleByArgument, Equatable, Sendable {
    package var events: Int

    package init?(argument: String) {
        if argument == "none" {
            events = 0
            return
        }
        guard let number = Int(argument.filter { $0 != "_" }), number > 0 else { return nil }
        events = number
    }
}
