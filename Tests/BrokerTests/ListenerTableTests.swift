// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reactor
import Synchronization
import Testing

@testable import Broker

@Suite("Listeners found without a lock")
struct ListenerTableTests {
    @Test(
        "Numbers that others are just being given are found with their names, on all loops, while clients come and go")
    func addingWhileAccepting() {
        let table = ListenerTable()
        let added = 2000
        let published = Atomic<Int>(0)
        let finished = Atomic<Bool>(false)
        let wrong = Atomic<Int>(0)
        let looks = Atomic<Int>(0)
        let places = Atomic<Int>(0)
        let loops = (0..<3).map { loop in
            startThread("loop") {
                var number = loop
                repeat {
                    number += 1
                    let count = published.load(ordering: .acquiring)
                    guard count > 0 else { continue }
                    table.with(UInt16(number % count)) { listener in
                        if listener.terms.name != "tcp:\(number % count)" { wrong.add(1, ordering: .relaxed) }
                        guard listener.takePlace() else { return }
                        places.add(1, ordering: .relaxed)
                        listener.count("normal")
                        listener.leavePlace()
                    }
                    looks.add(1, ordering: .relaxed)
                } while !finished.load(ordering: .acquiring)
            }
        }
        let adder = startThread("main") {
            for i in 0..<added {
                let number = table.add(ListenerTerms(name: "tcp:\(i)"))
                if number != i { wrong.add(1, ordering: .relaxed) }
                published.store(i + 1, ordering: .releasing)
            }
            finished.store(true, ordering: .releasing)
        }
        for thread in loops + [adder] { pthread_join(thread, nil) }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(looks.load(ordering: .relaxed) > 0)
        #expect((0..<added).allSatisfy { table.with(UInt16($0)) { $0.counts.current } == 0 })
        let ended = (0..<added).reduce(0) { sum, number in
            sum + (table.with(UInt16(number)) { $0.counts.shutdowns["normal"] } ?? 0)
        }
        #expect(ended == places.load(ordering: .relaxed))
    }

    @Test("Several threads that ask for a plugin's listener of one name get the same one")
    func sharing() {
        let table = ListenerTable()
        let asks = 400
        let threads = (0..<4).map { _ in
            startThread("loop") {
                for i in 0..<asks { _ = table.add(ListenerTerms(name: "gateway:\(i % 8)"), sharing: true) }
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        let found = (0..<8).map { table.add(ListenerTerms(name: "gateway:\($0)"), sharing: true) }
        #expect(Set(found).count == 8 && found.allSatisfy { $0 < 8 })
    }
}
