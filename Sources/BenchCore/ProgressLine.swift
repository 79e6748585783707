// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// One line per second on standard error: what moved since the last one.
final class ProgressLine {
    private let crew: Crew
    private let isShown: Bool
    private let start = bench_now()
    private var lastTime = bench_now()
    private var lastSent: UInt64
    private var lastReceived: UInt64

    init(_ settings: Settings, _ crew: Crew) {
        self.crew = crew
        isShown = settings.showsProgress
        lastSent = crew.sum(.sent)
        lastReceived = crew.sum(.received)
    }

    func show(_ now: UInt64) {
        guard isShown && now - lastTime >= 1_000_000_000 else { return }
        let seconds = Double(now - lastTime) / 1e9
        let sent = crew.sum(.sent)
        let received = crew.sum(.received)
        let line =
            "\((now - start) / 1_000_000_000) s: sent \(Int(Double(sent - lastSent) / seconds))/s, "
            + "received \(Int(Double(received - lastReceived) / seconds))/s, connections \(crew.sum(.connected))"
        say(line)
        (lastTime, lastSent, lastReceived) = (now, sent, received)
    }
}

/// A line on standard error, where it cannot get into the results.
public func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}
