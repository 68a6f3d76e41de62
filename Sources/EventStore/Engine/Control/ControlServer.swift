// The holder's side of the control socket: carries out what other processes of the same user ask for.

import EventStoreCore
import Foundation
import Synchronization

final class ControlServer: Sendable {
    private struct State {
        var isStopped = false
        var running = 0
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)
    private static let pollMs: Int32 = 200
    private static let requestTime = Duration.seconds(5)

    /// Listens from now on. A store whose socket cannot be made works all the same; others then find it locked.
    func start(_ engine: StoreEngine) {
        let socket: LocalSocket
        do throws(Fault) {
            socket = try LocalSocket.listen(engine.context.files.root, StoreFiles.controlName)
        } catch {
            StoreLog.logger.warning("no control socket: \(error); other processes cannot ask for changes")
            ended.signal()
            return
        }
        let thread = Thread { [self, weak engine] in
            while !state.withLock({ $0.isStopped }) {
                let connection = socket.accept(withinMs: ControlServer.pollMs)
                // A store that was let go without closing takes no more requests either.
                guard let engine else { break }
                guard let connection else { continue }
                serve(connection, engine)
            }
            ended.signal()
        }
        thread.name = "eventstore-control"
        thread.start()
    }

    private func serve(_ connection: LocalSocket, _ engine: StoreEngine) {
        let mayRun = state.withLock { state in
            if !state.isStopped { state.running += 1 }
            return !state.isStopped
        }
        guard mayRun else { return }
        let thread = Thread { [self] in
            answer(connection, engine)
            state.withLock { $0.running -= 1 }
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    private func answer(_ connection: LocalSocket, _ engine: StoreEngine) {
        guard let peer = connection.peer, peer.user == geteuid() else {
            reply(
                .failure(code: "permission", message: "the store belongs to user #\(geteuid()); run this as that user"),
                connection)
            return
        }
        // One who connects and says nothing holds nobody up.
        let start = ContinuousClock.now
        let line = connection.line(max: ControlMessage.requestBytesMax) {
            !state.withLock { $0.isStopped } && ContinuousClock.now - start < ControlServer.requestTime
        }
        guard let line, var operation: StoreOperation = ControlMessage.decode(line) else {
            reply(
                .failure(
                    code: "invalid", message: "the holder does not know this operation; it may be an older version"),
                connection)
            return
        }
        if case .importEvents(var request) = operation {
            guard connection.received >= 0 || !request.sources.contains("-") else {
                reply(.failure(code: "invalid", message: "no standard input came with the request"), connection)
                return
            }
            request.standardInput = connection.received
            operation = .importEvents(request)
        }
        // One that has given up meanwhile has told its caller that nothing was done.
        guard reply(.progress(0), connection) else { return }
        let store = BlockingEventStore(store: EventStore(engine: engine))
        let wanted = operation
        let actor = AuditActor(peer: peer)
        let result = AuditActor.$current.withValue(actor) { () -> Result<OperationResult, EventStoreError> in
            do throws(EventStoreError) {
                return .success(try store.perform(wanted) { share in self.reply(.progress(share), connection) })
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let result): reply(.result(result), connection)
        case .failure(let error): reply(.failure(code: error.code.rawValue, message: error.message), connection)
        }
    }

    /// One that has gone does not hear it; what was asked for is done all the same.
    @discardableResult
    private func reply(_ answer: ControlAnswer, _ connection: LocalSocket) -> Bool {
        ControlMessage.encode(answer).map { connection.send($0) } ?? false
    }

    /// Takes no more requests and waits for those under way.
    func stop(_ files: StoreFiles) {
        let wasStopped = state.withLock { state in
            defer { state.isStopped = true }
            return state.isStopped
        }
        guard !wasStopped else { return }
        // Wakes the thread that waits for a connection.
        _ = try? LocalSocket.connect(files.root, StoreFiles.controlName)
        ended.wait()
        while state.withLock({ $0.running }) > 0 { Thread.sleep(forTimeInterval: 0.005) }
        unlink(files.control)
    }
}
