// Stand-ins for the scalar functions until they are merged.

import EventStoreCore

package struct ZoneRules: Sendable {}
package protocol ZoneSource: Sendable { func rules(_ name: String) -> ZoneRules? }

extension ScalarFunction {
    package static func call(
        _ function: ScalarFunction, _ arguments: [SQLValue], zones: any ZoneSource
    ) throws(Fault) -> SQLValue {
        switch (function, arguments.first, arguments.last) {
        case (.timeBucket, .integer(let width), .integer(let time)): return .integer(time / width * width)
        case (.iso, .integer(let time), _): return .text("@\(time)")
        default: throw Fault(.invalid, "\(function.rawValue) is not there yet")
        }
    }
}
