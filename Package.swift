// swift-tools-version: 6.2
import PackageDescription

// One list of settings for every target of ours. Nobody outside this package imports us,
// so what targets say to each other is `package`, never `public`.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

// Targets that hand pointers to a C library say so at each place.
let settingsOverC = settings + [.strictMemorySafety()]

// MARK: Libraries of others

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioFoundation = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioHTTPTypesHTTP1 = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let asyncAlgorithms = Target.Dependency.product(name: "AsyncAlgorithms", package: "swift-async-algorithms")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")

// MARK: The package

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "holdfast", targets: ["HoldfastCommand"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.1.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.9.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
    ],
    targets: [
        // MARK: System libraries
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // MARK: Stores
        .target(name: "ConnectionPool", dependencies: [deque], swiftSettings: settings),
        .target(
            name: "Redis",
            dependencies: ["CHiredis", nioCore, nioPosix, nioTLS, deque, logging, lifecycle, metrics, crypto],
            resources: [
                .embedInCode("Lease/HoldLease.lua"),
                .embedInCode("Lease/ReleaseLease.lua"),
            ],
            swiftSettings: settingsOverC
        ),
        .target(
            name: "Postgres",
            dependencies: ["CLibPQ", "COpenSSL", "ConnectionPool", logging, lifecycle, metrics, crypto],
            swiftSettings: settingsOverC
        ),

        // MARK: Metrics
        .target(name: "PrometheusMetrics", dependencies: [coreMetrics], swiftSettings: settings),

        // MARK: Socket.IO
        .target(name: "EngineIO", dependencies: [nioCore], swiftSettings: settings),
        .target(
            name: "EngineIOServer",
            dependencies: [
                "EngineIO", "CZlib", nioCore, nioPosix, nioHTTP1, nioWebSocket, hummingbird, hummingbirdCore, httpTypes,
                nioHTTPTypes, nioHTTPTypesHTTP1, crypto, logging, metrics,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SocketIO",
            dependencies: ["EngineIO", nioCore, nioFoundation, deque, logging, metrics],
            swiftSettings: settings
        ),
        .target(
            name: "SocketIORedis",
            dependencies: [
                "SocketIO", "EngineIO", "Redis", nioCore, nioFoundation, deque, logging, lifecycle, metrics,
            ],
            resources: [
                .embedInCode("Recovery/RecoveryCommon.lua"), .embedInCode("Recovery/RecoveryHead.lua"),
                .embedInCode("Recovery/RecoveryBroadcast.lua"), .embedInCode("Recovery/RecoveryBegin.lua"),
                .embedInCode("Recovery/RecoveryChange.lua"), .embedInCode("Recovery/RecoveryEmit.lua"),
                .embedInCode("Recovery/RecoveryEnd.lua"), .embedInCode("Recovery/RecoveryRefresh.lua"),
                .embedInCode("Recovery/RecoveryClaim.lua"), .embedInCode("Recovery/RecoveryRead.lua"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SocketIOClient",
            dependencies: [
                "EngineIO", "SocketIO", nioCore, nioPosix, nioHTTP1, nioWebSocket, nioTLS, nioFoundation,
            ],
            swiftSettings: settings
        ),

        // MARK: The domain
        .target(name: "HoldfastCore", swiftSettings: settings),
        .target(
            name: "Accounts",
            dependencies: ["COpenSSL", "HoldfastCore", "Postgres", crypto, logging],
            swiftSettings: settingsOverC
        ),
        .target(
            name: "Sessions",
            dependencies: [
                "HoldfastCore", "Redis", "Postgres", crypto, jwtKit, logging, metrics, lifecycle, nioCore,
                asyncAlgorithms, deque,
            ],
            resources: [
                .embedInCode("Store/SessionCommon.lua"),
                .embedInCode("Store/ResealSession.lua"),
                .embedInCode("Store/PageSessions.lua"),
                .embedInCode("Store/SessionStatistics.lua"),
                .embedInCode("Store/CreateSession.lua"),
                .embedInCode("Store/TouchSession.lua"),
                .embedInCode("Store/EndSessions.lua"),
                .embedInCode("Store/ListSessions.lua"),
                .embedInCode("Store/NoteSession.lua"),
                .embedInCode("SignIn/WrongPassword.lua"),
                .embedInCode("SignIn/SignInWork.lua"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "OAuth",
            dependencies: [
                "HoldfastCore", "Redis", crypto, jwtKit, httpClient, nioCore, nioFoundation, nioHTTP1, logging,
                lifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Presence",
            dependencies: ["HoldfastCore", "Redis"],
            resources: [.embedInCode("UserPlaces.lua"), .embedInCode("EventRoom.lua")],
            swiftSettings: settings
        ),
        .target(name: "Events", dependencies: ["HoldfastCore", "Postgres", logging], swiftSettings: settings),
        .target(
            name: "WaitingRoom",
            dependencies: [
                "HoldfastCore", "Events", "Redis", "Postgres", crypto, jwtKit, nioCore, logging, lifecycle, metrics,
            ],
            resources: [
                .embedInCode("QueueCommon.lua"), .embedInCode("Join/QueueJoin.lua"),
                .embedInCode("Join/QueueStand.lua"), .embedInCode("Join/QueueLeave.lua"),
                .embedInCode("Admission/QueueTick.lua"), .embedInCode("Admission/QueueRules.lua"),
                .embedInCode("Pass/QueueToken.lua"),
                .embedInCode("Rebuild/QueueClaim.lua"), .embedInCode("Rebuild/QueueLoad.lua"),
                .embedInCode("Reconcile/QueueInspect.lua"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Seating",
            dependencies: ["HoldfastCore", "Events", "Redis", "Postgres", nioCore, logging, lifecycle, metrics],
            resources: [
                .embedInCode("State/SeatState.lua"),
                .embedInCode("Holds/Orphans.lua"),
                .embedInCode("Holds/SelectSeats.lua"),
                .embedInCode("Holds/TakeBest.lua"),
                .embedInCode("Holds/ReleaseSeats.lua"),
                .embedInCode("Holds/ExtendHold.lua"),
                .embedInCode("Holds/ShowHold.lua"),
                .embedInCode("Holds/SweepHolds.lua"),
                .embedInCode("Claims/MarkReserved.lua"),
                .embedInCode("Claims/FreeSeats.lua"),
                .embedInCode("Claims/BlockSeats.lua"),
                .embedInCode("Map/ShowSeats.lua"),
                .embedInCode("Map/ShowChanges.lua"),
                .embedInCode("Rebuild/RebuildSeats.lua"),
                .embedInCode("Reconcile/InspectSeats.lua"),
                .embedInCode("Reconcile/CorrectSeats.lua"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Orders",
            dependencies: [
                "HoldfastCore", "Events", "Seating", "Redis", "Postgres", crypto, httpClient, nioCore, nioHTTP1,
                logging, lifecycle, metrics,
            ],
            swiftSettings: settings
        ),

        // MARK: The edge
        .target(
            name: "Gateway",
            dependencies: [
                "HoldfastCore", "Accounts", "Sessions", "OAuth", "Presence", "Events", "WaitingRoom", "Seating",
                "Orders",
                "EngineIOServer", "SocketIO", "SocketIORedis", "Redis", "Postgres", "PrometheusMetrics", crypto,
                nioPosix, hummingbird, hummingbirdCore, httpTypes, nioCore, nioFoundation, nioHTTP1, logging, lifecycle,
                metrics, configuration, asyncAlgorithms,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Simulator",
            dependencies: [
                "SocketIOClient", "SocketIO", "HoldfastCore", httpClient, deque, nioCore, nioPosix, nioHTTP1,
                nioFoundation, nioTLS,
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "SocketIOFixture",
            dependencies: [
                "CMalloc", "SocketIO", "SocketIORedis", "EngineIOServer", "EngineIO", "Redis", argumentParser, crypto,
                hummingbird, nioCore, nioPosix, logging, lifecycle,
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "HoldfastCommand",
            dependencies: [
                "Gateway", "Simulator", "SocketIOClient", "Accounts", "Sessions", "Presence", "Events", "WaitingRoom",
                "Seating", "Orders", "HoldfastCore", "Redis", "Postgres", "PrometheusMetrics", argumentParser,
                configuration, httpClient, lifecycle, unixSignals, logging, metrics, nioCore, nioHTTP1, nioPosix,
            ],
            swiftSettings: settings
        ),

        // MARK: Tests
        .target(
            name: "TestSupport",
            dependencies: ["Redis", "Postgres", nioCore, nioPosix, logging],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "ConnectionPoolTests",
            dependencies: ["ConnectionPool", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PrometheusMetricsTests",
            dependencies: ["PrometheusMetrics", coreMetrics],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RedisTests",
            dependencies: ["Redis", "TestSupport", nioCore, nioPosix, logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PostgresTests",
            dependencies: ["Postgres", "COpenSSL", "TestSupport", logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EngineIOTests",
            dependencies: ["EngineIO", "TestSupport", nioCore],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EngineIOServerTests",
            dependencies: [
                "EngineIOServer", "TestSupport", "EngineIO", nioCore, nioPosix, nioEmbedded, nioHTTP1, nioHTTPTypes,
                nioHTTPTypesHTTP1, logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SocketIOTests",
            dependencies: ["SocketIO", "TestSupport", "EngineIO", nioCore, nioPosix, nioEmbedded, logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SocketIORedisTests",
            dependencies: [
                "SocketIORedis", "TestSupport", "SocketIO", "EngineIO", "Redis", nioCore, nioPosix, logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SocketIOClientTests",
            dependencies: [
                "SocketIOClient", "TestSupport", "SocketIO", "EngineIO", "EngineIOServer", hummingbird, nioCore,
                nioPosix, logging, lifecycle,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SimulatorTests",
            dependencies: ["Simulator", "TestSupport", "HoldfastCore", nioCore],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastCoreTests",
            dependencies: ["HoldfastCore", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PresenceTests",
            dependencies: ["Presence", "TestSupport", "HoldfastCore", "Redis", nioCore, nioPosix, logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AccountsTests",
            dependencies: ["Accounts", "COpenSSL", "TestSupport", "HoldfastCore", "Postgres", logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SessionsTests",
            dependencies: [
                "Sessions", "TestSupport", "HoldfastCore", "Redis", "Postgres", nioCore, nioPosix, logging, jwtKit,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "OAuthTests",
            dependencies: [
                "OAuth", "TestSupport", "HoldfastCore", "Redis", crypto, jwtKit, nioCore, nioPosix, logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EventsTests",
            dependencies: ["Events", "TestSupport", "HoldfastCore", "Postgres", logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "WaitingRoomTests",
            dependencies: [
                "WaitingRoom", "TestSupport", "HoldfastCore", "Events", "Redis", "Postgres", nioCore, nioPosix, logging,
                jwtKit,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SeatingTests",
            dependencies: [
                "Seating", "TestSupport", "HoldfastCore", "Events", "Redis", "Postgres", nioCore, nioPosix, logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "OrdersTests",
            dependencies: [
                "Orders", "TestSupport", "HoldfastCore", "Events", "Seating", "Redis", "Postgres", nioCore, nioPosix,
                logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "EngineIO", "EngineIOServer", "SocketIO", "Events", "Sessions", "OAuth", "Seating",
                "WaitingRoom", "Redis", "Postgres", "TestSupport", "HoldfastCore", configuration, httpTypes,
                hummingbird, logging, nioCore, nioPosix, nioHTTP1,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ProtocolTests",
            dependencies: [
                "TestSupport", "EngineIO", "EngineIOServer", "SocketIO", "SocketIORedis", "Redis", hummingbird, nioCore,
                nioPosix, nioHTTP1, httpClient, logging, lifecycle,
            ],
            swiftSettings: settings
        ),
    ]
)
