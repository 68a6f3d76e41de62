// Whether the clock can be trusted to expire data: a leap of more than a day stops the automatic sweep.

import EventStoreCatalog
import EventStoreCore
import Foundation
import Synchronization

/// Knows the last time a writer recorded, and how much time has really passed since.
final class ClockGuard: Sendable {
    private struct State {
        /// Wall clock when it was last trusted; `nil` in a store no writer has recorded a time in.
        var wallMs: Int64?
        var at = ContinuousClock.now
    }

    private let state: Mutex<State>
    static let leapMaxMs: Int64 = 24 * 3600 * 1000
    static let name = "clock.last"

    init(recordedMs: Int64?) { state = Mutex(State(wallMs: recordedMs)) }

    /// How far the clock is beyond where it can be, in milliseconds; nil when it is believed.
    private func leap(_ nowMs: Int64) -> Int64? {
        state.withLock { state in
            guard let wall = state.wallMs else { return nil }
            let elapsed = Int64((ContinuousClock.now - state.at) / .milliseconds(1))
            let beyond = nowMs - (wall + elapsed)
            return beyond > ClockGuard.leapMaxMs ? beyond : nil
        }
    }

    /// Throws `clock` after a leap, unless somebody said to go on.
    func check(_ environment: Environment, confirmed: Bool) throws(Fault) {
        let now = environment.nowMs()
        guard !confirmed, let leap = leap(now) else { return }
        throw Fault(
            .clock,
            "the clock is \(leap / 3_600_000) hours ahead of the last time this store was written: if it is right, "
                + "run `retention sweep --yes`; if not, set it before data expires by it")
    }

    /// Takes note of a time that work was done at; one after a leap is not believed. Returns whether it was.
    @discardableResult
    func observe(_ nowMs: Int64) -> Bool {
        guard leap(nowMs) == nil else { return false }
        trust(nowMs)
        return true
    }

    /// Whether a time close enough was recorded already.
    func isRecent(_ nowMs: Int64) -> Bool {
        state.withLock { $0.wallMs.map { (0..<3_600_000).contains(nowMs - $0) } ?? false }
    }

    fileprivate func trust(_ nowMs: Int64) {
        state.withLock { state in
            state.wallMs = nowMs
            state.at = ContinuousClock.now
        }
    }
}

extension StoreEngine {
    /// Records a time that was checked or confirmed.
    func recordClock(_ lane: WriterLane) throws(Fault) {
        let now = context.environment.nowMs()
        clock.trust(now)
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            change.setMeta = [ClockGuard.name: now]
            _ = try lane.commit(change, urgent: true)
        }
    }
}
