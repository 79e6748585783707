// swift-tools-version: 6.2
// Martlet: the broker, its command line, and every plugin, from one `swift build`.
import PackageDescription

#if arch(arm64)
    let arch = "aarch64"
#else
    let arch = "x86_64"
#endif

let root = Context.packageDirectory

// Set by tools/sanitize. A plugin finds the functions of its sanitizer in the program that loads it, which by itself
// exports all of them but three.
let sanitized = Context.environment["MARTLET_SANITIZE"] != nil
let sanitizedHost: [LinkerSetting] =
    !sanitized
    ? []
    : ["external_write", "ignore_thread_begin", "ignore_thread_end"].map {
        .unsafeFlags(["-Xlinker", "--export-dynamic-symbol=__tsan_\($0)"])
    }

// A plugin image exports martlet_plugin_entry and nothing else, binds its own symbols, and may leave none open.
let hide =
    [
        "-use-ld=lld", "-Xlinker", "--version-script=\(root)/Sources/PluginKit/plugin.map", "-Xlinker", "-Bsymbolic",
        "-Xlinker", "-z", "-Xlinker", "now",
    ] + (sanitized ? [] : ["-Xlinker", "-z", "-Xlinker", "defs"])
let embedded: [SwiftSetting] = [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"])]
let embeddedLink: [LinkerSetting] = [
    .unsafeFlags(
        ["-enable-experimental-feature", "Embedded"] + hide + [
            "-Xlinker", "-l:../embedded/\(arch)-unknown-linux-gnu/libswiftUnicodeDataTables.a", "-lm",
        ])
]
// The Embedded flag at link time keeps swiftrt.o, and with it libswiftCore, out of a plugin written in C.
let cLink: [LinkerSetting] = [.unsafeFlags(["-enable-experimental-feature", "Embedded"] + hide)]

// The data path: exclusivity is proven by design there (one owner thread), cross-module inlining is what makes it fast.
let fast: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"]),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

// The host carries the Swift runtime in itself: it runs where no toolchain is, and a runtime call costs less. The
// switch stands here because swift build's own --static-swift-stdlib breaks the Embedded plugins beside it.
let selfContained: [LinkerSetting] = [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]

// Embedded Swift does not pass on a module map's `link`: the libraries are named here.
// The argument parser and the HTTP types bring FoundationEssentials, whose own static libraries have to be named.
let foundationLink: [LinkerSetting] =
    selfContained + [
        .unsafeFlags(
            ["-l_FoundationCollections", "-l_FoundationCShims", "-lswiftSynchronization"],
            .when(configuration: .release))
    ]

func plugin(
    _ name: String, _ more: [Target.Dependency] = [], exclude: [String] = [], libraries: [String] = []
) -> Target {
    .target(
        name: "Plugin_\(name)", dependencies: ["CMartlet", "CPluginKit", "PluginKit"] + more, path: "Plugins/\(name)",
        exclude: ["README.md", "\(name).conf"] + exclude, swiftSettings: embedded,
        linkerSettings: embeddedLink + libraries.map { .linkedLibrary($0) })
}

func cPlugin(_ name: String) -> Target {
    .target(
        name: "Plugin_\(name)", dependencies: ["CMartlet"], path: "Plugins/\(name)",
        exclude: ["README.md", "\(name).conf"], publicHeadersPath: ".", linkerSettings: cLink)
}

func product(_ name: String) -> Product { .library(name: name, type: .dynamic, targets: ["Plugin_\(name)"]) }

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .executable(name: "martlet_ctl", targets: ["martlet_ctl"]),
        .executable(name: "martlet_bench", targets: ["martlet_bench"]),
        product("plugin_template"), product("plugin_template_c"),
        product("retainer"), product("auth_username"), product("auth_scram"), product("acl_file"),
        product("auth_psk"),
        product("echo"),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // HTTP for plugins. Without traits Hummingbird's core brings FoundationEssentials, but neither Foundation nor ICU.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // The plugin line.
        .target(name: "CMartlet"),
        .target(name: "CPluginKit"),
        .target(
            name: "PluginKit", dependencies: ["CMartlet", "CPluginKit"], exclude: ["plugin.map"],
            swiftSettings: embedded),

        // Pure cores.
        .target(name: "MQTTCodec", swiftSettings: fast),
        .target(name: "Topics", swiftSettings: fast),
        .target(name: "Sessions", dependencies: ["MQTTCodec", "Topics", "CReactor"], swiftSettings: fast),
        .target(name: "Config"),
        .target(name: "CtlProtocol"),
        .target(name: "WebSocket", dependencies: ["CCrypto"], swiftSettings: fast),

        // The host.
        .target(name: "CReactor"),
        .target(name: "Reactor", dependencies: ["CReactor"], swiftSettings: fast),
        .target(name: "CTLS", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(name: "TLS", dependencies: ["CTLS", "Reactor"], swiftSettings: fast),
        .target(name: "Sockets", dependencies: ["Reactor", "CReactor", "TLS"], swiftSettings: fast),
        .target(
            name: "Broker", dependencies: ["Reactor", "Sessions", "Topics", "MQTTCodec", "CMartlet"],
            swiftSettings: fast),
        .target(
            name: "Net", dependencies: ["Broker", "Reactor", "Sockets", "TLS", "WebSocket", "CReactor", "CMartlet"],
            swiftSettings: fast),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CFFI", pkgConfig: "libffi", providers: [.apt(["libffi-dev"])]),
        .target(name: "CPluginHost", dependencies: ["CMartlet", "CFFI"]),
        // The headers of libcurl4-openssl-dev; the library itself is opened when a plugin asks for it.
        .target(name: "CHTTPClient"),
        .target(name: "HTTPClient", dependencies: ["CHTTPClient", "Reactor", "CReactor"]),
        .target(
            name: "PluginHost",
            dependencies: [
                "Broker", "Config", "Reactor", "CReactor", "Sessions", "Topics", "MQTTCodec", "CMartlet", "CPluginHost",
                "CSQLite", "HTTPClient",
                "Sockets", "TLS",
            ], swiftSettings: fast),
        .target(
            name: "HTTPHost",
            dependencies: [
                "PluginHost", "Net", "TLS", "Broker", "Reactor", "CReactor", "CMartlet",
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(
            name: "Control",
            dependencies: ["Broker", "Config", "CtlProtocol", "PluginHost", "Reactor", "CReactor", "CPluginHost"]),
        .executableTarget(
            name: "martlet",
            dependencies: ["Control", "HTTPHost", "Net", "TLS", "WebSocket", "PluginHost", "Broker", "Config"],
            swiftSettings: fast, linkerSettings: foundationLink + sanitizedHost),
        .executableTarget(
            name: "martlet_ctl", dependencies: ["Config", "CtlProtocol"], linkerSettings: selfContained),
        .executableTarget(name: "generate_config", dependencies: ["Config"]),
        .target(name: "CBench"),
        .target(name: "BenchCore", dependencies: ["CBench", "CTLS"], swiftSettings: fast),
        .executableTarget(
            name: "martlet_bench",
            dependencies: ["BenchCore", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            linkerSettings: foundationLink),

        // Plugins. Nothing may depend on these: their linker flags would travel along.
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        plugin("plugin_template"),
        cPlugin("plugin_template_c"),
        plugin("retainer", ["CLMDB"], libraries: ["lmdb"]),
        plugin("auth_username", ["CCrypto"]),
        plugin("auth_scram", ["CCrypto"]),
        plugin("acl_file"),
        plugin("auth_psk"),
        plugin("echo"),

        // Tests. Schedules: random command lists against a model, and their shrinking.
        .target(name: "Schedules", path: "Tests/Schedules"),
        .target(name: "Ports", path: "Tests/Ports"),
        .testTarget(name: "MQTTCodecTests", dependencies: ["MQTTCodec"]),
        .testTarget(name: "TopicsTests", dependencies: ["Topics"]),
        .testTarget(name: "SessionsTests", dependencies: ["Sessions", "Topics", "Reactor", "Schedules"]),
        .testTarget(name: "ReactorTests", dependencies: ["Reactor", "CReactor", "Schedules"]),
        .testTarget(name: "TLSTests", dependencies: ["TLS", "CTLS", "Reactor"]),
        .testTarget(name: "SocketsTests", dependencies: ["Sockets", "TLS", "Reactor"]),
        .testTarget(name: "ConfigTests", dependencies: ["Config"]),
        .testTarget(name: "HTTPClientTests", dependencies: ["HTTPClient"]),
        .testTarget(name: "CtlProtocolTests", dependencies: ["CtlProtocol", "martlet_ctl"]),
        .testTarget(
            name: "BrokerTests",
            dependencies: ["Broker", "Sessions", "Topics", "Reactor", "CReactor", "CMartlet", "Schedules"]),
        .testTarget(
            name: "NetTests",
            dependencies: ["Ports", "Net", "Sockets", "Broker", "Reactor", "CReactor", "Sessions", "MQTTCodec"]),
        .testTarget(
            name: "PluginHostTests",
            dependencies: ["Ports", "PluginHost", "Broker", "Net", "Reactor", "CReactor", "Sessions", "Topics"],
            exclude: ["layout.txt"]),
        .testTarget(
            name: "HTTPHostTests",
            dependencies: [
                "HTTPHost", "PluginHost", "Ports", "Reactor", "CReactor", "Net",
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        .testTarget(
            name: "ControlTests", dependencies: ["Control", "CtlProtocol", "PluginHost", "Broker", "Reactor"]),
        // The store of the retainer plugin, compiled as an ordinary module through a symbolic link.
        .testTarget(
            name: "RetainerTests", dependencies: ["CMartlet", "CLMDB"], path: "Tests/Retainer",
            exclude: ["Bench", "Image", "run"]),
        .testTarget(name: "BenchCoreTests", dependencies: ["BenchCore"]),
        .testTarget(name: "WebSocketTests", dependencies: ["WebSocket", "Schedules"]),
    ],
    swiftLanguageModes: [.v6]
)
