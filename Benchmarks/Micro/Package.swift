// swift-tools-version: 6.2
// Micro benchmarks with gates: a package of its own, so that neither users nor tests of the store need the library
// they run in. `make bench-micro` checks them against Thresholds/; docs/benchmarks.md says how.

import Foundation
import PackageDescription

// SwiftPM names a package after its folder, and `package` declarations are visible under that name. The benchmarks
// belong to the store's package in all but build: so they see codecs and sealing without anything being public.
let store = URL(fileURLWithPath: Context.packageDirectory).deletingLastPathComponent().deletingLastPathComponent()
let storePackage = String(store.lastPathComponent.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })

let package = Package(
    name: "Micro",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(path: "../.."),
        // Without its traits it needs no further packages; allocations are counted by the target below.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.36.0", traits: []),
    ],
    targets: [
        .target(name: "CAllocationCount"),
        .executableTarget(
            name: "StoreBenchmarks",
            dependencies: [
                "CAllocationCount",
                .product(name: "EventStore", package: store.lastPathComponent),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/StoreBenchmarks",
            packageAccess: false,  // to this package, whose name SwiftPM would put after the store's
            swiftSettings: [.unsafeFlags(["-package-name", storePackage])],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
