// What goes over the control socket: lines of JSON, one request and then answers until the last.

import Foundation

/// A request's answer, a line each; every one but the last tells of progress. The first comes before anything is done:
/// who did not get it knows that nothing was.
enum ControlAnswer: Codable, Sendable {
    case progress(Double)
    case result(OperationResult)
    case failure(code: String, message: String)

    var isLast: Bool { if case .progress = self { false } else { true } }
}

enum ControlMessage {
    /// No request is near this long.
    static let requestBytesMax = 1 << 20
    /// Room for the names of all entities that an import can add.
    static let answerBytesMax = 1 << 26

    static func encode(_ value: some Encodable) -> [UInt8]? {
        guard let data = try? JSONEncoder().encode(value) else { return nil }
        return [UInt8](data) + [0x0a]
    }

    static func decode<T: Decodable>(_ line: [UInt8], as type: T.Type = T.self) -> T? {
        try? JSONDecoder().decode(T.self, from: Data(line))
    }
}
