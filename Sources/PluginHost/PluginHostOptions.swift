// SPDX-License-Identifier: Apache-2.0

/// Places and limits of a plugin host.
public struct PluginHostOptions: Sendable {
    /// Where NAME.so is looked for, in this order.
    public var directories: [String]
    /// Holds NAME.conf; a missing file means every key at its default.
    public var confDirectory: String
    /// Holds martlet.db and the private copies.
    public var dataDirectory: String
    /// Lines `name.`: what runs after the next start.
    public var loadedFile: String
    /// Names of plugins that may not be unloaded.
    public var required: [String] = []
    public var environment: [String: String]
    /// Relative paths in a plugin's conf are resolved against this.
    public var root: String

    public var brokerName = "Martlet"
    public var brokerVersion = "0.1.0"
    public var nodeName = "martlet@127.0.0.1"

    /// Threads that run exec.blocking tasks.
    public var blockingThreads = 4
    /// Tasks of one plugin that may wait, per kind (control thread, loops, blocking pool).
    public var queueLimit = 4096
    /// How long an unload waits for a plugin's own work before it gives up and leaves the image in memory.
    public var restLimitMS = 5000
    /// How long a reload waits for the answers to HTTP requests of the old image.
    public var requestGraceMS = 1000
    /// Above this a payload is refused by message.make.
    public var maxPayloadBytes = 268_435_455
    /// A callback on a loop that takes longer is logged with the plugin's name.
    public var slowCallbackMS: UInt64 = 10

    public init(
        directories: [String], confDirectory: String, dataDirectory: String, loadedFile: String, root: String = ".",
        environment: [String: String] = [:]
    ) {
        self.directories = directories
        self.confDirectory = confDirectory
        self.dataDirectory = dataDirectory
        self.loadedFile = loadedFile
        self.root = root
        self.environment = environment
    }
}
