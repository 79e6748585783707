// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite struct SchemaTests {
    @Test func aStarStandsForOneName() {
        #expect(sampleSchema.match("listener.tcp.external")?.name == "listener.tcp.*")
        #expect(sampleSchema.match("listener.tcp.external.max_connections")?.name == "listener.tcp.*.max_connections")
        #expect(sampleSchema.match("listener.tcp.external.access.1")?.name == "listener.tcp.*.access.*")
        #expect(sampleSchema.match("listener.tcp.external.access")?.name == nil)
        #expect(sampleSchema.match("listener.tcp")?.name == nil)
    }

    @Test func anAliasMeansItsCanonicalKey() {
        #expect(sampleSchema.canonical("mqtt.client.idle_timeout") == "mqtt.idle_timeout")
        #expect(sampleSchema.canonical("listener.tcp.x.max_clients") == "listener.tcp.x.max_connections")
    }

    @Test(arguments: [
        ("mqtt.max_paket_size", "mqtt.max_packet_size"),
        ("mqtt.max_packet_siez", "mqtt.max_packet_size"),
        ("nodename", "node.name"),
        ("listener.tcp.wlan.max_conections", "listener.tcp.wlan.max_connections"),
        ("listner.tcp.wlan", "listener.tcp.wlan"),
        ("mqtt.client.idle_timout", "mqtt.client.idle_timeout"),
        ("session.retain_available", "mqtt.retain_available"),
    ])
    func theNearestKeyIsFound(_ name: String, _ expected: String) {
        #expect(sampleSchema.nearest(name) == expected)
    }

    @Test(arguments: ["frobnicate.all", "x", "node.cooki"]) func nothingNearIsNothing(_ name: String) {
        #expect(sampleSchema.nearest(name) == nil)
    }

    @Test func distanceCountsSwapsOnce() {
        #expect(editDistance("abcd", "abdc") == 1)
        #expect(editDistance("kitten", "sitting") == 3)
        #expect(editDistance("", "abc") == 3)
    }
}
