// The other side: asks the holder of a store for a change.

import EventStoreCore

struct ControlClient {
    private let socket: LocalSocket

    /// `nil` when nobody listens in the store's directory.
    init?(store: String) {
        guard let socket = try? LocalSocket.connect(store, StoreFiles.controlName) else { return nil }
        self.socket = socket
    }

    /// - Parameter locked: what is thrown when the holder does not answer.
    func perform(
        _ operation: StoreOperation, locked: EventStoreError, progress: (@Sendable (Double) -> Void)?
    ) throws(EventStoreError) -> OperationResult {
        guard let request = ControlMessage.encode(operation), socket.send(request) else { throw locked }
        while let line = socket.line(max: ControlMessage.lineBytesMax) {
            guard let answer: ControlAnswer = ControlMessage.decode(line) else { break }
            switch answer {
            case .progress(let share): progress?(share)
            case .result(let result): return result
            case .failure(let code, let message):
                throw EventStoreError(Fault(Fault.Code(rawValue: code), message))
            }
        }
        throw locked
    }
}
