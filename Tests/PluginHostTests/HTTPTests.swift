// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reactor
import Testing

@testable import PluginHost

/// A socket that is connected to and says nothing.
private final class SilentServer: @unchecked Sendable {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    private(set) var port: UInt16 = 0
    private var accepted: [Int32] = []

    init() {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        listen(descriptor, 512)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        for one in accepted { Glibc.close(one) }
        Glibc.close(descriptor)
    }

    var url: String { "http://127.0.0.1:\(port)/" }

    /// Waits for connections and what they ask, and answers all but the first `skip` with an empty 200.
    func answer(_ count: Int, skip: Int = 0) {
        for index in 0..<count {
            let one = accept(descriptor, nil, nil)
            guard one >= 0 else {
                Issue.record("nobody connected")
                return
            }
            accepted.append(one)
            var buffer = [UInt8](repeating: 0, count: 4096)
            _ = recv(one, &buffer, buffer.count, 0)
            guard index >= skip else { continue }
            let text = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
            _ = send(one, text, text.count, Int32(MSG_NOSIGNAL))
        }
    }
}

extension PluginHostTests {
    @Suite(.serialized) struct HTTPRequests {
        private func rig() -> Rig {
            let rig = Rig()
            rig.add("httpc")
            #expect(rig.load("httpc") == nil)
            return rig
        }

        @Test func aCallbackComesToTheLoopThatAsked() {
            let rig = rig()
            defer { rig.close() }
            let server = SilentServer()
            for (from, place) in [("0", 0), ("1", 1), ("pool", -1)] {
                #expect(rig.ctl("httpc send 1 GET \(server.url) from=\(from)") == "")
                server.answer(1)
                var line = ""
                #expect(
                    rig.eventually {
                        line = rig.ctl("httpc results")
                        return line != ""
                    })
                #expect(line.contains("http=200") && line.contains("where=\(place)"), "\(line)")
                #expect(rig.ctl("httpc close 0") == "")
            }
        }

        @Test func anUnloadEndsWhatIsUnderWay() {
            let rig = rig()
            defer { rig.close() }
            let server = SilentServer()
            #expect(rig.ctl("httpc client hosts=60 open=200") == "client=3\n")
            #expect(rig.ctl("httpc send 100 GET \(server.url) client=3") == "")
            #expect(rig.ctl("httpc send 20 GET \(server.url) client=3 from=1") == "")
            #expect(rig.eventually { rig.main { rig.host.running[0].http.openCalls } == 120 })
            server.answer(10, skip: 10)
            #expect(rig.unloadReport("httpc")?.resident == nil)
            #expect(mappings(of: rig.root) == 0)
            rig.broker.quiesce()
            let cancelled = rig.main { rig.host.metrics().first { $0.name == "httpc/cancelled" }?.value }
            #expect(cancelled == 120)
        }

        /// What the old image asked decides about clients, so its answers are waited for; not for ever.
        @Test func aReloadLetsOpenRequestsBeAnswered() {
            for (graceMS, answeredBefore) in [(60_000, false), (50, true)] {
                let rig = Rig { $0.requestGraceMS = graceMS }
                defer { rig.close() }
                rig.add("httpc")
                _ = rig.load("httpc")
                func count(_ name: String) -> Int64? {
                    rig.main { rig.host.metrics() }.first { $0.name == "httpc/" + name }?.value
                }
                let server = SilentServer()
                #expect(rig.ctl("httpc send 3 GET \(server.url)") == "")
                let old = rig.main { rig.host.running[0] }
                if answeredBefore {
                    server.answer(3, skip: 1)
                    #expect(rig.eventually { count("responses") == 2 })
                } else {
                    startDetachedThread("server") { server.answer(3) }
                }
                #expect(rig.reload("httpc") == nil)
                #expect(old.http.openCalls == 0)
                #expect(count("cancelled") == (answeredBefore ? 1 : 0))
                #expect(count("responses") == (answeredBefore ? 2 : 3))
            }
        }

        @Test func aLoadThatFailsTakesItsRequestsWithIt() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("httpc", as: "httpc", "EAGER", "FAIL_LATE")
            #expect(rig.load("httpc")?.sentence == "httpc was not loaded: too late.")
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func wrongArgumentsAreRefused() {
            let rig = rig()
            defer { rig.close() }
            let values = rig.values("httpc bad")
            for key in ["size", "scheme", "space", "host", "method", "header", "null", "flags", "fn"] {
                #expect(values[key] == Int(statusInvalid), "\(key)")
            }
            for key in ["client", "cancel", "close"] { #expect(values[key] == Int(statusStale), "\(key)") }
            #expect(rig.ctl("httpc send 1 GET gopher://h/").contains("httpc.request: the URL must begin with http://"))
        }

        @Test func aBrokerWithoutRequestsHasNoThreadForThem() {
            let rig = rig()
            defer { rig.close() }
            #expect(!rig.host.http.isInUse)
            #expect(rig.main { rig.host.metrics() }.isEmpty)
            _ = rig.ctl("httpc client")
            #expect(rig.host.http.isInUse)
            #expect(rig.main { rig.host.metrics() }.contains { $0.name == "httpc/requests" })
        }
    }
}
