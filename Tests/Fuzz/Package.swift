// swift-tools-version: 6.2
import PackageDescription

// The decoders under libFuzzer. A package of its own, because everything in it is built with coverage counters and the
// address sanitizer, which no other build may be. The sources are the service's own, through symbolic links.
//
// `scripts/fuzz.sh` builds and runs it.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"]),
]

// libFuzzer without its main function; where it lies depends on the toolchain.
let fuzzerLibrary = Context.environment["FUZZER_LIBRARY"] ?? "libclang_rt.fuzzer_no_main-x86_64.a"

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioFoundation = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")

let package = Package(
    name: "fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.9.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
        .systemLibrary(name: "CHiredis"),
        .systemLibrary(name: "CFuzzer"),
        .target(name: "EngineIO", dependencies: [nioCore], swiftSettings: settings),
        .target(
            name: "EngineIOServer",
            dependencies: ["EngineIO", "CZlib", nioCore],
            sources: [
                "Compression/Deflater.swift", "Compression/Inflater.swift", "WebSocket/WebSocketDecoder.swift",
                "HTTP/UpgradeRequestHead.swift",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SocketIO",
            dependencies: ["EngineIO", nioCore, nioFoundation, deque, logging, metrics],
            swiftSettings: settings
        ),
        .target(
            name: "Redis",
            dependencies: ["CHiredis", nioCore],
            sources: ["RESP/RESPReader.swift", "RESP/RESPValue.swift", "RedisError.swift"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Fuzz",
            dependencies: ["CFuzzer", "EngineIO", "EngineIOServer", "SocketIO", "Redis", nioCore],
            swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-sanitize=address", fuzzerLibrary, "-lstdc++"])]
        ),
    ]
)
