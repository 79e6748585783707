// SPDX-License-Identifier: Apache-2.0
/// martlet.log/1: lines in the broker's log, marked with the plugin's name. Every function may be called on any thread.
public struct Log {
    let tables: Tables

    public enum Level: Int32 { case debug, info, notice, warning, error, critical }

    /// Whether a line of this level would be written.
    public func enabled(_ level: Level) -> Bool {
        tables.pointee.log.pointee.enabled(tables.host, level.rawValue)
    }
    /// The text is only made when the level is on. With `about` the line carries client id and peer.
    @inline(__always) public func write(_ level: Level, _ text: @autoclosure () -> String, about client: Client? = nil)
    {
        if enabled(level) { emit(level, text, client) }
    }
    /// Kept apart so that a callback which only asks pays neither for the frame nor for the code of the formatting.
    @inline(never) private func emit(_ level: Level, _ text: () -> String, _ client: Client?) {
        text().withBytes { tables.pointee.log.pointee.write(tables.host, level.rawValue, $0.raw, client?.id ?? 0) }
    }
    @inline(__always) public func debug(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.debug, text(), about: client)
    }
    @inline(__always) public func info(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.info, text(), about: client)
    }
    @inline(__always) public func notice(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.notice, text(), about: client)
    }
    @inline(__always) public func warning(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.warning, text(), about: client)
    }
    @inline(__always) public func error(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.error, text(), about: client)
    }
    @inline(__always) public func critical(_ text: @autoclosure () -> String, about client: Client? = nil) {
        write(.critical, text(), about: client)
    }
}
