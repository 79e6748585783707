// SPDX-License-Identifier: Apache-2.0
import CReactor
import Control
import Net
import Reactor

/// Certificates of the listeners while the broker runs: loaded anew when somebody asks, and watched as they end.
final class Certificates {
    private let listeners: any ListenerControl
    private let log: Log
    /// Days before its end from which a certificate is warned about.
    private static let warning: Int64 = 14
    private static let day: Int64 = 86_400

    init(_ listeners: any ListenerControl, log: Log, loop: EventLoop) {
        self.listeners = listeners
        self.log = log
        warn()
        _ = loop.after(UInt64(Self.day) * 1000, every: UInt64(Self.day) * 1000) { [unowned self] in warn() }
    }

    /// What `listeners reload-certs` does, for SIGHUP: who sent it reads the log.
    func reload() {
        for (name, complaint) in listeners.reloadCertificates(nil) {
            if let complaint {
                log.write(.error, complaint)
            } else {
                log.write(.notice, "The certificates of \(name) are loaded.")
            }
        }
        warn()
    }

    private func warn() {
        let now = cr_unix_ms() / 1000
        for listener in listeners.infos {
            guard let end = listener.certificateEnd, end < now + Self.warning * Self.day else { continue }
            let name = listener.name
            if end <= now {
                log.write(.error, "A certificate of \(name) has ended on \(date(end)): clients refuse it.")
            } else {
                log.write(
                    .warning, "A certificate of \(name) ends on \(date(end)), in \((end - now) / Self.day) days.")
            }
        }
    }
}
