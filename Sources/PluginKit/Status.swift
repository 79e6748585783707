// SPDX-License-Identifier: Apache-2.0
/// What a host function answers: `.ok` or one of the reasons of `MARTLET_E_*` (martlet/plugin.h).
public struct Status: Equatable, Sendable {
    public let rawValue: Int32
    @inline(__always) public init(_ rawValue: Int32) { self.rawValue = rawValue }

    @inline(__always) public static var ok: Status { Status(0) }
    /// An argument is wrong.
    @inline(__always) public static var invalid: Status { Status(-1) }
    /// Out of memory, or a documented limit is reached.
    @inline(__always) public static var noMemory: Status { Status(-2) }
    @inline(__always) public static var notFound: Status { Status(-3) }
    @inline(__always) public static var exists: Status { Status(-4) }
    @inline(__always) public static var denied: Status { Status(-5) }
    /// Not now: try again, or you will be called back.
    @inline(__always) public static var busy: Status { Status(-6) }
    /// Called on a thread the function does not allow.
    @inline(__always) public static var wrongThread: Status { Status(-7) }
    /// Not in this phase of the life cycle.
    @inline(__always) public static var wrongState: Status { Status(-8) }
    /// This broker cannot do that.
    @inline(__always) public static var unsupported: Status { Status(-9) }
    /// The disk or the network failed.
    @inline(__always) public static var io: Status { Status(-10) }
    @inline(__always) public static var timeout: Status { Status(-11) }
    /// The handle names something that is gone.
    @inline(__always) public static var stale: Status { Status(-12) }

    @inline(__always) public static func == (left: Status, right: Status) -> Bool { left.rawValue == right.rawValue }

    /// Throws unless this is `.ok`. Without a sentence the host's own stays the one people read.
    func check(_ sentence: @autoclosure () -> String? = nil) throws(PluginError) {
        if self != .ok { throw PluginError(self, sentence: sentence()) }
    }
}

/// Why something failed, in one sentence for people: it is what `plugins load` and `martlet_ctl` print.
public struct PluginError: Error {
    public let status: Status
    /// nil: the host knows the sentence already (it said it), or wants none.
    public let sentence: String?

    public init(_ status: Status, _ sentence: String) {
        self.status = status
        self.sentence = sentence
    }
    init(_ status: Status, sentence: String?) {
        self.status = status
        self.sentence = sentence
    }
    /// In a ctl command: the arguments are wrong, print the usage.
    public static var usage: PluginError { PluginError(.invalid, sentence: nil) }
}
