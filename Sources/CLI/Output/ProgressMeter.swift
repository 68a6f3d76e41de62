/// Progress on standard error: on a terminal one line redrawn a few times a second, elsewhere a line every
/// five seconds, nothing with `--quiet`.

import EventStore
import Foundation
import Synchronization

package final class ProgressMeter: Sendable {
    private struct State {
        var lastShown: Double
        var drawn = false
    }

    private static let redrawSeconds = 0.15
    private static let lineSeconds = 5.0

    private let label: String
    private let silent: Bool
    private let terminal: Bool
    private let width: Int
    private let started: Double
    private let state: Mutex<State>

    package init(_ label: String, quiet: Bool) {
        self.label = label
        terminal = isatty(2) == 1
        silent = quiet
        width = Terminal.current().width
        let now = ProgressMeter.monotonicSeconds()
        started = now
        state = Mutex(State(lastShown: terminal ? 0 : now))
    }

    package func update(_ progress: ImportProgress) {
        let share = progress.bytesTotal > 0 ? Double(progress.bytesRead) / Double(progress.bytesTotal) : nil
        show { elapsed in
            ProgressText.line(
                label, share: share, events: progress.eventsRead, bytes: progress.bytesRead, elapsed: elapsed)
        }
    }

    package func update(_ progress: ExportProgress) {
        show { elapsed in
            ProgressText.line(
                label, share: progress.share, events: progress.events, bytes: progress.bytes, elapsed: elapsed)
        }
    }

    package func update(share: Double) {
        show { elapsed in ProgressText.line(label, share: share, elapsed: elapsed) }
    }

    /// Wipes the redrawn line, so that what follows starts clean.
    package func finish() {
        state.withLock { state in
            if state.drawn { Diagnostics.raw("\r\u{1b}[K") }
            state.drawn = false
        }
    }

    private func show(_ text: (Double) -> String) {
        guard !silent else { return }
        let now = ProgressMeter.monotonicSeconds()
        state.withLock { state in
            guard now - state.lastShown >= (terminal ? ProgressMeter.redrawSeconds : ProgressMeter.lineSeconds) else {
                return
            }
            state.lastShown = now
            let line = text(now - started)
            if terminal {
                state.drawn = true
                Diagnostics.raw("\r" + TextLayout.cut(line, to: width - 1) + "\u{1b}[K")
            } else {
                Diagnostics.line(line)
            }
        }
    }

    private static func monotonicSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The words of a progress line.
package enum ProgressText {
    package static func line(
        _ label: String, share: Double?, events: Int? = nil, bytes: Int? = nil, elapsed: Double
    ) -> String {
        var parts: [String] = []
        if let share { parts.append("\(Int((min(max(share, 0), 1) * 100).rounded(.down))) %") }
        if let events { parts.append("\(TextLayout.grouped(events)) events") }
        if elapsed > 0, let events { parts.append("\(TextLayout.grouped(Int(Double(events) / elapsed)))/s") }
        if elapsed > 0, let bytes { parts.append("\(TextLayout.bytes(Int(Double(bytes) / elapsed)))/s") }
        if let share, share > 0.01, share < 1, elapsed > 0.5 {
            parts.append(duration(elapsed * (1 - share) / share) + " left")
        }
        return label + ": " + parts.joined(separator: ", ")
    }

    /// `8 s`, `3 min 20 s`, `2 h 5 min`.
    package static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
