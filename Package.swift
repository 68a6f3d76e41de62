// swift-tools-version: 6.2
import PackageDescription

// Targets carry the prefix "EventStore" because a target called `Crypto` could not share a package
// graph with swift-crypto. Folders keep the short names.
//
// The rooms, from the ground up: Core lies under all; Crypto, Segments, Catalog and Ingest stand side
// by side on it; Query reads Segments; EventStore is the one front door; CLI (and later the gateway,
// behind the package trait `Gateway`) uses only that door. Tests/TidyTests enforces the directions.

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error)
]

let package = Package(
    name: "EventStore",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "EventStore", targets: ["EventStore"]),
        .executable(name: "eventstore", targets: ["EventStoreCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibCrypto", path: "Sources/CLibCrypto", pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
        .systemLibrary(
            name: "CLZ4", path: "Sources/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"]), .brew(["lz4"])]),
        .systemLibrary(
            name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(
            name: "CZstd", path: "Sources/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),

        .systemLibrary(name: "CHostSystem", path: "Sources/CHostSystem"),

        .target(
            name: "EventStoreCore", dependencies: ["CHostSystem"], path: "Sources/Core", swiftSettings: strict),
        .target(
            name: "EventStoreCrypto", dependencies: ["EventStoreCore", "CLibCrypto"],
            path: "Sources/Crypto", swiftSettings: strict),
        .target(
            name: "EventStoreSegments", dependencies: ["EventStoreCore", "CLZ4"],
            path: "Sources/Segments", swiftSettings: strict),
        .target(
            name: "EventStoreParquet", dependencies: ["EventStoreCore", "CLZ4", "CZstd"],
            path: "Sources/Parquet", swiftSettings: strict),
        .target(
            name: "EventStoreIngest", dependencies: ["EventStoreCore", "CZlib", "CZstd"],
            path: "Sources/Ingest", swiftSettings: strict),
        .target(
            name: "EventStoreCatalog",
            dependencies: ["EventStoreCore", .product(name: "GRDB", package: "GRDB.swift")],
            path: "Sources/Catalog", swiftSettings: strict),
        .target(
            name: "EventStoreQuery",
            dependencies: [
                "EventStoreCore", "EventStoreSegments", .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Sources/Query", swiftSettings: strict),
        .target(
            name: "EventStore",
            dependencies: [
                "EventStoreCore", "EventStoreCrypto", "EventStoreSegments", "EventStoreIngest",
                "EventStoreCatalog", "EventStoreQuery", "EventStoreParquet", "CHostSystem",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/EventStore", swiftSettings: strict),
        .executableTarget(
            name: "EventStoreCLI",
            dependencies: [
                "EventStore", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/CLI", swiftSettings: strict),
        .executableTarget(
            name: "QuickStart", dependencies: ["EventStore"], path: "Examples/QuickStart", swiftSettings: strict),
        .executableTarget(
            name: "in-process", dependencies: ["EventStore"], path: "Benchmarks/InProcess", swiftSettings: strict),
        .testTarget(
            name: "CLITests", dependencies: ["EventStoreCLI", "EventStore"], path: "Tests/CLITests",
            swiftSettings: strict),
        .testTarget(
            name: "CryptoTests", dependencies: ["EventStoreCrypto", "EventStoreCore"], path: "Tests/CryptoTests",
            swiftSettings: strict),
        .testTarget(
            name: "SegmentsTests", dependencies: ["EventStoreSegments", "EventStoreCore"],
            path: "Tests/SegmentsTests", swiftSettings: strict),
        .testTarget(
            name: "ParquetTests", dependencies: ["EventStoreParquet", "EventStoreCore"],
            path: "Tests/ParquetTests", swiftSettings: strict),
        .testTarget(
            name: "IngestTests", dependencies: ["EventStoreIngest", "EventStoreCore"],
            path: "Tests/IngestTests", swiftSettings: strict),
        .testTarget(
            name: "CatalogTests", dependencies: ["EventStoreCatalog", "EventStoreCore"],
            path: "Tests/CatalogTests", swiftSettings: strict),
        .testTarget(
            name: "EventStoreTests", dependencies: ["EventStore", "EventStoreCore", "EventStoreCrypto"],
            path: "Tests/EventStoreTests", exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "DifferentialTests",
            dependencies: [
                "EventStore", "EventStoreCore", "EventStoreQuery",
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Tests/DifferentialTests", swiftSettings: strict),
        .target(
            name: "EventStoreSimulation",
            dependencies: ["EventStoreCore", .product(name: "GRDBSQLite", package: "GRDB.swift")],
            path: "Tests/Simulation", swiftSettings: strict),
        .testTarget(
            name: "CrashImageTests",
            dependencies: [
                "EventStore", "EventStoreCore", "EventStoreSimulation", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/CrashImageTests", swiftSettings: strict),
        .testTarget(name: "TidyTests", path: "Tests/TidyTests", exclude: ["ratchet.txt"], swiftSettings: strict),
        .testTarget(
            name: "QueryTests",
            dependencies: [
                "EventStoreQuery", "EventStoreCore", .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Tests/QueryTests", swiftSettings: strict),
    ]
)
