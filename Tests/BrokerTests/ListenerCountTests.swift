// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reactor
import Testing

@testable import Broker

@Suite("Listeners as the broker counts them")
struct ListenerCountTests {
    @Test("Places and reasons counted on several threads add up, by listener and by the reason's text")
    func counts() {
        let broker = Broker(settings: BrokerSettings())
        let numbers = ["tcp:a", "tcp:b"].map { broker.addListener(ListenerTerms(name: $0)) }
        let threads = (0..<4).map { thread in
            startThread("loop") {
                for i in 0..<5000 {
                    let listener = numbers[i & 1]
                    _ = broker.takePlace(listener)
                    broker.countShutdown(listener, "normal")
                    if thread == 0 { broker.countShutdown(listener, "keepalive_timeout") }
                    if i & 2 == 0 { broker.leavePlace(listener) }
                }
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        for number in numbers {
            let counts = broker.listenerCounts(number)
            #expect(counts.current == 5000)
            #expect(counts.shutdowns == ["normal": 10_000, "keepalive_timeout": 2500])
        }
        #expect(broker.listenerName(numbers[1]) == "tcp:b")
    }

    @Test("A plugin's listener of the same name is the same one")
    func gateways() {
        let broker = Broker(settings: BrokerSettings())
        let first = broker.gateway(ListenerTerms(name: "x"))
        let other = broker.gateway(ListenerTerms(name: "y"))
        #expect(broker.gateway(ListenerTerms(name: "x")) == first)
        #expect(other != first)
        broker.countShutdown(first, "normal")
        #expect(broker.gatewayCounts("x")?.shutdowns == ["normal": 1])
        #expect(broker.gatewayCounts("z") == nil)
    }
}
