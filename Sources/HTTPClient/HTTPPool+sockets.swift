// SPDX-License-Identifier: Apache-2.0
import CHTTPClient
import CReactor
import Glibc

/// What libcurl asks of the loop, and what the loop tells libcurl.
extension HTTPPool {
    /// Made at the first request; nil when there is no memory.
    func openHandle() -> OpaquePointer? {
        if let handle { return handle }
        let texts = [
            options.caFile, options.certificateFile, options.keyFile, options.keyPassword, options.proxy,
            options.userAgent,
        ].map { text in text.map { strdup($0)! } }
        defer { for text in texts { free(text) } }
        var settings = chc_pool_options(
            user: Unmanaged.passUnretained(self).toOpaque(),
            watch: { pool($0).watch($1, events: $2) }, timer: { pool($0).arm($1) },
            host_connections: options.hostConnections, dns_ttl_s: min(max(options.dnsTTL, 1), 60),
            idle_s: max(options.idleSeconds, 1), ca_file: texts[0], certificate_file: texts[1], key_file: texts[2],
            key_password: texts[3], proxy: texts[4], user_agent: texts[5]!,
            accepts_any_certificate: options.acceptsAnyCertificate)
        handle = chc_pool_new(&settings)
        return handle
    }

    /// Called by libcurl, in the midst of its work.
    private func watch(_ descriptor: Int32, events: Int32) {
        let bits =
            (Int(events) & CHC_IN != 0 ? UInt32(CR_IN) : 0) | (Int(events) & CHC_OUT != 0 ? UInt32(CR_OUT) : 0)
        if let id = watches[descriptor] {
            if bits != 0 { return thread.rewatch(id, events: bits) }
            thread.unwatch(id)
            watches[descriptor] = nil
        } else if bits != 0 {
            watches[descriptor] = thread.watch(fd: descriptor, events: bits) { [unowned self] happened in
                ready(descriptor, happened)
            }
        }
    }

    private func ready(_ descriptor: Int32, _ events: UInt32) {
        guard let handle else { return }
        let bits =
            (events & UInt32(CR_IN) != 0 ? CHC_IN : 0) | (events & UInt32(CR_OUT) != 0 ? CHC_OUT : 0)
        chc_pool_ready(handle, descriptor, Int32(bits), events & UInt32(CR_ERR | CR_HUP) != 0)
        collect()
    }

    /// Called by libcurl, in the midst of its work. A timer of 0 runs at the end of this tick.
    private func arm(_ milliseconds: Int64) {
        if let timer { thread.cancel(timer: timer) }
        timer = nil
        if milliseconds == 0 {
            thread.runSoon(self)
        } else if milliseconds > 0 {
            timer = thread.after(UInt64(milliseconds)) { [unowned self] in
                timer = nil
                timeout()
            }
        }
    }

    func timeout() {
        guard let handle else { return }
        chc_pool_timeout(handle)
        collect()
    }
}

private func pool(_ user: UnsafeMutableRawPointer) -> HTTPPool {
    Unmanaged<HTTPPool>.fromOpaque(user).takeUnretainedValue()
}
