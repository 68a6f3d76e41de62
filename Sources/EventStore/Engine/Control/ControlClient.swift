// The other side: asks the holder of a store for a change.

import EventStoreCore

struct ControlClient {
    private let socket: LocalSocket

    /// `nil` when nobody listens in the store's directory.
    init?(store: String) {
        guard let socket = try? LocalSocket.connect(store, StoreFiles.controlName) else { return nil }
        self.socket = socket
    }

    /// How long the holder may take to begin.
    private static let beginTime = Duration.seconds(10)

    /// Has the operation done; `nil` when the holder did not begin with it.
    ///
    /// - Parameter locked: who holds the store.
    func perform(
        _ operation: StoreOperation, locked: EventStoreError, progress: (@Sendable (Double) -> Void)?
    ) throws(EventStoreError) -> OperationResult? {
        guard let request = ControlMessage.encode(operation), socket.send(request, with: operation.input) else {
            return nil
        }
        let start = ContinuousClock.now
        var hasBegun = false
        while let line = socket.line(
            max: ControlMessage.answerBytesMax,
            while: { hasBegun || ContinuousClock.now - start < ControlClient.beginTime })
        {
            guard let answer: ControlAnswer = ControlMessage.decode(line) else { break }
            hasBegun = true
            switch answer {
            case .progress(let share): progress?(share)
            case .result(let result): return result
            case .failure(let code, let message):
                throw EventStoreError(Fault(Fault.Code(rawValue: code), message))
            }
        }
        guard hasBegun else { return nil }
        throw EventStoreError(
            Fault(
                .locked,
                "\(locked.message): it began with what was asked for and went away; `audit list` shows whether it was done"
            ))
    }
}

extension StoreOperation {
    /// The descriptor that the holder needs to carry it out.
    fileprivate var input: Int32? {
        guard case .importEvents(let request) = self, request.sources.contains("-") else { return nil }
        return request.standardInput
    }
}
