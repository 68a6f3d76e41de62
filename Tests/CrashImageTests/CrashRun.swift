// Takes a workload's log, cuts the power at every operation in it, opens what is left with a real engine, and looks.

import EventStoreCore
import EventStoreSimulation
import Foundation
import Synchronization

@testable import EventStore

/// What may be found after a cut.
struct Expectation {
    /// What was seen last, and what the step under way leads to; the same when none is.
    var old: Observation
    var new: Observation
    /// Keys that may open the store.
    var keys: [KeySource]
    var nowMs: Int64
    var hasParts = false
    /// The store was being made: there may be none yet.
    var mayBeMissing = false
    /// The store may still be of an earlier format.
    var mayBeOld = false
    /// Exports: what may be in them, and which have to be there.
    var files: [String: Set<UInt64>] = [:]
    var required: Set<String> = []
    /// Sequences that the backup has, if there has to be one, or may have.
    var backups: [Set<UInt64>] = []
    var hasBackup = false
    /// Tells cases apart in which other things are expected of the same image.
    var context: UInt64 = 0
    var what = ""
}

/// A difference between what was promised and what was found.
struct CrashFinding: CustomStringConvertible {
    var seed: UInt64
    var place: String
    var message: String
    var description: String { "EVENTSTORE_CRASH_SEED=\(seed) \(place): \(message)" }
}

/// Images of all runs together, by digest.
final class ImageCount: Sendable {
    private let seen = Mutex<(digests: Set<UInt64>, cases: Set<UInt64>)>(([], []))
    let opened = Atomic<Int>(0)
    let nested = Atomic<Int>(0)
    let positions = Atomic<Int>(0)

    var distinct: Int { seen.withLock { $0.digests.count } }

    /// Whether this image was not yet looked at with these expectations.
    func isNew(_ digest: UInt64, _ context: UInt64) -> Bool {
        seen.withLock { seen in
            seen.digests.insert(digest)
            return seen.cases.insert((digest ^ context) &* 0x9e37_79b9_7f4a_7c15 ^ context).inserted
        }
    }
}

struct CrashRun {
    let seed: UInt64
    let lane: String
    let count: ImageCount
    /// Images at a position, apart from what is tried at all of them.
    var imagesPerPosition = 2
    var forgets: ForgottenSync?
    private(set) var findings: [CrashFinding] = []
    private var steps: [WorkloadStep] = []
    private var opened: UInt64 = 0

    init(seed: UInt64, lane: String, count: ImageCount, forgets: ForgottenSync? = nil) {
        self.seed = seed
        self.lane = lane
        self.count = count
        self.forgets = forgets
    }

    private static let findingsMax = 3

    mutating func run() throws {
        var generator = SeededGenerator(seed: seed ^ 0x5bd1_e995)
        // Now and then a store of an earlier format, which is brought to this one.
        let isOld = generator.chance(1, of: 12)
        let start = isOld ? try FormatOne.disk() : DiskState()
        let disk = SimulatedDisk.mount(lane, start, forgets: forgets)
        var workload = try isOld ? Workload(upgrading: seed, disk: disk) : Workload(seed: seed, disk: disk)
        try workload.run(steps: Int.random(in: 4...14, using: &generator))
        try cutPower(workload, start, &generator)
    }

    /// A workload that was chosen for what it once found.
    mutating func run(_ moves: [Workload.Move]) throws {
        var generator = SeededGenerator(seed: seed)
        let disk = SimulatedDisk.mount(lane, forgets: forgets)
        var workload = try Workload(seed: seed, disk: disk)
        try workload.run(moves)
        try cutPower(workload, DiskState(), &generator)
    }

    private mutating func cutPower(
        _ workload: Workload, _ start: DiskState, _ generator: inout SeededGenerator
    ) throws {
        steps = workload.steps
        try follow(workload.disk.log, PowerCut(start), depth: 1, &generator) { run, step, isUnderWay in
            run.expectation(step, isUnderWay)
        }
        SimulatedDisk.unmount(lane)
    }

    /// After step `index` was acknowledged, or while it is under way.
    private func expectation(_ index: Int, _ isUnderWay: Bool) -> Expectation {
        let step = steps[index]
        let before = isUnderWay && index > 0 ? steps[index - 1] : step
        var files: [String: Set<UInt64>] = [:]
        for known in [before, step] { for (path, digest) in known.files { files[path, default: []].insert(digest) } }
        var expectation = Expectation(
            old: before.after, new: step.after, keys: isUnderWay ? [step.key, before.key] : [step.key],
            nowMs: step.nowMs, hasParts: step.hasParts && isUnderWay,
            mayBeMissing: step.name == "create" && isUnderWay,
            files: files, required: Set(before.files.keys))
        expectation.mayBeOld = step.name == "found" || step.name == "upgrade" && isUnderWay
        // Whoever looks at it has to upgrade it, which is recorded.
        if step.name == "found" { expectation.new.audit.append("upgrade 0 \(step.nowMs)") }
        expectation.backups = [before.backup, step.backup].compactMap { $0 }
        expectation.hasBackup = before.backup != nil
        expectation.context = (seed << 12) ^ UInt64(index) << 1 ^ (isUnderWay ? 1 : 0)
        expectation.what = (isUnderWay ? "during " : "after ") + "step \(index), \(step.name)"
        return expectation
    }

    // MARK: Every operation of a log

    private mutating func follow(
        _ log: [DiskOperation], _ start: PowerCut, depth: Int, _ generator: inout SeededGenerator,
        _ expected: (CrashRun, Int, Bool) -> Expectation
    ) throws {
        var cut = start
        var step = -1
        var isUnderWay = false
        for (position, operation) in log.enumerated() {
            cut.follow(operation)
            switch operation {
            case .mark(.begins(let index)): (step, isUnderWay) = (index, true)
            case .mark(.acknowledged(let index)): (step, isUnderWay) = (index, false)
            default: break
            }
            guard step >= 0 else { continue }
            count.positions.add(1, ordering: .relaxed)
            let chosen = plans(cut, depth, &generator)
            if !chosen.isEmpty { cut.takeDigests() }
            for fates in chosen {
                guard findings.count < CrashRun.findingsMax else { return }
                var expectation = expected(self, step, isUnderWay)
                expectation.what += ", operation \(position) of \(log.count)"
                try look(cut.image(fates), expectation, depth, fates, generator.next())
            }
        }
    }

    private func plans(_ cut: PowerCut, _ depth: Int, _ generator: inout SeededGenerator) -> [[Fate]] {
        guard depth == 1 else { return generator.chance(1, of: 12) ? [cut.someFates(&generator)] : [] }
        if cut.pending.count <= 1 { return cut.allSubsets() }
        return (0..<imagesPerPosition).map { _ in cut.someFates(&generator) }
    }

    // MARK: One image

    private mutating func look(
        _ image: DiskState, _ expectation: Expectation, _ depth: Int, _ fates: [Fate], _ seed: UInt64
    ) throws {
        guard count.isNew(image.digest(without: ["store/lock"]), expectation.context) else { return }
        count.opened.add(1, ordering: .relaxed)
        if depth > 1 { count.nested.add(1, ordering: .relaxed) }
        var generator = SeededGenerator(seed: seed)
        let goesDeeper = depth < 3 && generator.chance(1, of: 20)
        let disk = SimulatedDisk.mount(lane, image, records: goesDeeper, forgets: forgets)
        var inspection = ImageInspection(
            disk: disk, world: SimulatedWorld(seed: generator.next(), nowMs: expectation.nowMs),
            expectation: expectation, writesMore: goesDeeper || generator.chance(1, of: 8),
            restores: generator.chance(1, of: 8))
        let problem = inspection.run()
        if let problem {
            let kinds = fates.map { "\($0)" }.joined(separator: ", ")
            findings.append(
                CrashFinding(
                    seed: self.seed, place: "depth \(depth), \(expectation.what), fates [\(kinds)]", message: problem))
            return
        }
        guard goesDeeper, inspection.seen.count > 1 else { return }
        try descend(image, expectation, inspection, depth, &generator)
    }

    /// Power fails again while the store recovers, and while it is written to after that.
    private mutating func descend(
        _ image: DiskState, _ expectation: Expectation, _ inspection: ImageInspection,
        _ depth: Int, _ generator: inout SeededGenerator
    ) throws {
        let seen = inspection.seen
        let seed = generator.next()
        try follow(inspection.log, PowerCut(image), depth: depth + 1, &generator) { _, step, isUnderWay in
            var next = expectation
            next.old = isUnderWay && step > 0 ? seen[step - 1] : seen[step]
            next.new = seen[step]
            next.keys = inspection.key.map { [$0] } ?? expectation.keys
            next.hasParts = false
            next.mayBeMissing = false
            next.context = (expectation.context ^ seed) &* 0x2127_599b_f432_5c37 ^ UInt64(step) << 1
            if isUnderWay { next.context ^= 1 }
            next.what += ", then \(isUnderWay ? "during" : "after") \(step == 0 ? "recovery" : "step \(step)")"
            return next
        }
    }
}
