// All micro benchmarks, and what each of them measures: time to look at, counts as gates. Counts of allocations,
// objects and retains are the same on every machine and in every run; times are not, so nothing checks them.

import Benchmark
import CAllocationCount

let allocations = BenchmarkMetric.custom("Allocations", polarity: .prefersSmaller, useScalingFactor: false)

let benchmarks: @Sendable () -> Void = {
    let exact = BenchmarkThresholds(relative: [.p50: 5], absolute: [.p50: 4])
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .instructions, .objectAllocCount, .retainCount, allocations],
        warmupIterations: 3, maxDuration: .milliseconds(500), maxIterations: 1000,
        thresholds: [
            .wallClock: BenchmarkThresholds(), .instructions: BenchmarkThresholds(relative: [.p50: 5]),
            .objectAllocCount: exact, .retainCount: exact, allocations: exact,
        ])
    sealBenchmarks()
    codecBenchmarks()
    parseBenchmarks()
    queryBenchmarks()
}

/// A benchmark whose set-up, done once, hands `work` what it works on; allocations are counted too.
func measure<State>(_ name: String, setUp: @escaping () throws -> State, _ work: @escaping (State) throws -> Void) {
    Benchmark(
        name,
        closure: { benchmark, state in
            benchmark.startMeasurement()
            let before = allocation_count()
            do { try work(state) } catch { benchmark.error("\(name): \(error)") }
            let after = allocation_count()
            benchmark.stopMeasurement()
            benchmark.measurement(allocations, Int(after - before))
        },
        setup: setUp)
}
