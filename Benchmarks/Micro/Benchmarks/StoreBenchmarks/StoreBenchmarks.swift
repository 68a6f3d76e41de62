// All micro benchmarks, and what each of them measures: time to look at, counts as gates. Counts of allocations
// and retains are the same on every machine and in every run; times are not, so nothing checks them.

import Benchmark
import CAllocationCount

let retains = BenchmarkMetric.custom("Retains", polarity: .prefersSmaller, useScalingFactor: false)
let allocations = BenchmarkMetric.custom("Allocations", polarity: .prefersSmaller, useScalingFactor: false)

let benchmarks: @Sendable () -> Void = {
    let exact = BenchmarkThresholds(relative: [.p90: 5], absolute: [.p90: 4])
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .instructions, allocations, retains],
        warmupIterations: 3, maxDuration: .milliseconds(500), maxIterations: 1000,
        thresholds: [
            .wallClock: BenchmarkThresholds(), .instructions: BenchmarkThresholds(relative: [.p90: 5]),
            allocations: exact, retains: exact,
        ])
    sealBenchmarks()
    codecBenchmarks()
    parseBenchmarks()
    queryBenchmarks()
}

/// Names have no spaces: thresholds of such would be written, but not found again.
///
/// A benchmark whose set-up, done once, hands `work` what it works on; allocations and retains are counted too.
func measure<State>(_ name: String, setUp: @escaping () throws -> State, _ work: @escaping (State) throws -> Void) {
    Benchmark(
        name,
        closure: { benchmark, state in
            benchmark.startMeasurement()
            let before = (allocation_count(), retain_count())
            do { try work(state) } catch { benchmark.error("\(name): \(error)") }
            let after = (allocation_count(), retain_count())
            benchmark.stopMeasurement()
            benchmark.measurement(allocations, Int(after.0 - before.0))
            benchmark.measurement(retains, Int(after.1 - before.1))
        },
        setup: setUp)
}
