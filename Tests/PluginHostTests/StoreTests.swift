// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

extension PluginHostTests {
    @Suite(.serialized) struct Store {
        @Test func valuesSurviveTheirPlugin() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("kv")
            rig.add("kv", as: "other")
            _ = rig.load("kv")
            _ = rig.load("other")
            #expect(rig.ctl("kv put users anna secret") == "")
            #expect(rig.ctl("kv put users anna changed") == "")
            #expect(rig.ctl("kv put users bob x") == "")
            #expect(rig.ctl("kv put useful anna y") == "")
            #expect(rig.ctl("kv get users anna") == "changed")
            #expect(rig.ctl("other get users anna").contains("not found"), "each plugin has its own tables")
            #expect(rig.ctl("kv scan users a") == "anna=changed;")
            #expect(rig.ctl("kv scan users b") == "bob=x;")
            _ = rig.unload("kv")
            _ = rig.load("kv")
            #expect(rig.ctl("kv get users anna") == "changed")
            #expect(rig.ctl("kv del users anna") == "")
            #expect(rig.ctl("kv del users anna").contains("not found"))
            #expect(rig.ctl("kv get users anna").contains("not found"))
            var status = stat()
            #expect(stat(rig.root + "/data/martlet.db", &status) == 0 && status.st_mode & 0o777 == 0o600)
        }

        @Test func aScanMayWriteAndSeesEveryKeyOnce() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("kv")
            _ = rig.load("kv")
            #expect(rig.values("kv many") == ["seen": 200, "left": 0])
        }

        @Test func manyChangesAreOne() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("kv")
            _ = rig.load("kv")
            let bad = Int(statusInvalid)
            #expect(rig.values("kv change") == ["many": 0, "none": 0, "bad": bad, "null": bad, "count": bad])
            #expect(
                rig.ctl("kv get c k00000").contains("not found"), "removed by the second change, not put by the bad one"
            )
            #expect(rig.ctl("kv get c k19999") == "v")
            #expect(rig.ctl("kv scan c k0000") == (2...9).map { "k0000\($0)=v;" }.joined())
        }

        @Test func limits() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("kv")
            _ = rig.load("kv")
            let bad = Int(statusInvalid)
            #expect(
                rig.values("kv limits") == ["value": bad, "key": bad, "table": bad, "null": bad, "fits": 0, "empty": 0])
            #expect(rig.ctl("kv get t empty") == "")
        }

        @Test func keysAreOrderedByBytes() throws {
            let folder = scratchFolder()
            defer { removeTree(folder) }
            let store = KVStore(folder + "/kv.db")
            let keys: [[UInt8]] = [[], [0], [0, 1], [0x7F], [0x80], [0xFF], [0xFF, 0xFF], [0xFF, 0xFF, 0]]
            for key in keys.reversed() { try [UInt8]("v".utf8).withUnsafeBytes { try store.put("p", [1], key, $0) } }
            #expect(try store.page("p", [1], prefix: [], from: []).map(\.key) == keys)
            #expect(try store.page("p", [1], prefix: [0xFF], from: [0xFF]).map(\.key) == Array(keys[5...]))
            #expect(try store.page("p", [1], prefix: [0], from: [0]).map(\.key) == Array(keys[1...2]))
        }

        @Test func aStoreThatCannotBeOpenedSaysSo() {
            let store = KVStore("/proc/no/such/place.db")
            do throws(KVStore.Failure) {
                _ = try store.get("p", [1], [1])
                Issue.record("there is no such place")
            } catch {
                #expect(error.status == statusIO)
                #expect(error.text.hasPrefix("the store /proc/no/such/place.db failed: "))
            }
        }
    }
}

extension PluginHostTests.Store {
    @Test func theBrokersOwnTables() throws {
        let rig = Rig()
        defer { rig.close() }
        let file = rig.root + "/data/martlet.db"
        let table = rig.main { rig.host.table("t") }
        #expect(try table.all().isEmpty && access(file, F_OK) != 0, "reading makes no file")
        let pairs = (0..<200).map { (key: Array("k\(1000 + $0)".utf8), value: [UInt8($0)]) }
        try table.change(put: pairs)
        #expect(try table.all().map(\.key) == pairs.map(\.key) && table.all().map(\.value) == pairs.map(\.value))
        try table.change(remove: pairs.dropFirst().map(\.key), put: [(Array("new".utf8), [])])
        #expect(try table.all().map(\.key) == [pairs[0].key, Array("new".utf8)])
        #expect(try rig.main { rig.host.table("other") }.all().isEmpty)
    }

    @Test func aChangeThatFailsChangesNothing() throws {
        let folder = scratchFolder()
        defer { removeTree(folder) }
        let store = KVStore(folder + "/kv.db")
        let table = StoreTable(store, "t")
        try table.change(put: [([1], [1]), ([2], [2])])
        try store.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON kv WHEN NEW.key = x'09' BEGIN SELECT RAISE(ABORT, 'not nine'); END")
        let failure = #expect(throws: StoreTable.Failure.self) {
            try table.change(remove: [[1]], put: [([2], [3]), ([9], [9])])
        }
        #expect(failure?.sentence == "the store \(folder)/kv.db failed: not nine")
        #expect(try table.all().map(\.value) == [[1], [2]])
        try table.change(remove: [[1]], put: [([2], [3])])
        #expect(try table.all().map(\.value) == [[3]], "and the store goes on")
    }
}
