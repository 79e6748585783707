// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization

/// What the writer takes: all that waits at one moment, in the order of topics. What changes meanwhile is marked for the
/// next run, so each topic is in a run once, and no run is endless.
extension Store {
    /// By its own address: changing it is no access to the rest of the state.
    private var run: UnsafeMutablePointer<WriteRun> { state.pointee.run }

    /// Reading the tree costs about this much less for each of its items than sorting for each item of the run.
    private static let sortCost = 64
    /// Items of the tree that one hold of the lock looks at.
    private static let look = 256

    /// Makes a run of everything that waits; false: nothing does. [writer]
    func beginRun() -> Bool {
        guard counts().queued > 0 else { return false }
        let lanes = state.pointee.lanes
        run.pointee.free()
        return withUnsafeTemporaryAllocation(of: WriteQueue.self, capacity: lanes.count) { parts in
            var topics = 0
            changing { state in
                run.pointee.mark = state.pointee.queuedNow
                state.pointee.turn ^= 1
                topics = state.pointee.tree.count
                for i in 0..<lanes.count { parts.initializeElement(at: i, to: lanes[i].pointee.queue.takeAll()) }
            }
            let waiting = parts.reduce(0) { $0 + $1.count }
            state.pointee.runLeft.store(waiting, ordering: .relaxed)
            run.pointee.readsTree = waiting * Store.sortCost > topics
            run.pointee.isDense = waiting * 4 > topics
            for i in 0..<lanes.count { run.pointee.queue.append(parts[i]) }
            if run.pointee.readsTree {
                run.pointee.queue.free()
            } else {
                run.pointee.queue.sort()
            }
            return waiting > 0
        }
    }

    /// Takes the next changes of the run, at least one. [writer]
    func takeWrites(_ out: UnsafeMutablePointer<PendingWrite>, _ limit: Int) -> Int {
        let limit = min(limit, state.pointee.runLeft.load(ordering: .relaxed))
        var count = 0
        var bytes = 0
        while count < limit, bytes < Store.batchBytes {
            let before = count
            let hasMore = sharing { (state, _) in
                let end = min(limit, count + Store.hold)
                if run.pointee.readsTree { return readTree(out, &count, end) }
                while count < end, let item = run.pointee.takeFirst() {
                    take(item, &out[count])
                    count += 1
                }
                return count == end
            }
            for i in before..<count {
                if let message = out[i].message { bytes += messages.read(message).payload.len }
            }
            guard hasMore else {
                state.pointee.runLeft.store(0, ordering: .relaxed)
                return count
            }
        }
        state.pointee.runLeft.subtract(count, ordering: .relaxed)
        return count
    }

    /// [shared lock] Goes on through the tree, and takes what is marked for this run until there are `end`. False: the
    /// tree has ended.
    private func readTree(_ out: UnsafeMutablePointer<PendingWrite>, _ count: inout Int, _ end: Int) -> Bool {
        let mark = run.pointee.mark
        guard var place = state.pointee.tree.lowerBound(run.pointee.position.bytes) else { return false }
        for _ in 0..<Store.look {
            guard let item = next(&place) else { return false }
            if count == end { break }
            place.prefetch()
            if item.isMarked(mark) {
                take(item, &out[count])
                count += 1
            }
            place.index += 1
        }
        guard let item = next(&place) else { return false }
        run.pointee.position.removeAll()
        run.pointee.position.append(item.key)
        return true
    }

    /// The item at `place`, which moves on from the end of a leaf.
    private func next(_ place: inout TopicTree.Position) -> ItemRef? {
        while place.item == nil { guard state.pointee.tree.nextLeaf(&place) else { return nil } }
        return place.item
    }

    /// [shared lock]
    private func take(_ item: ItemRef, _ out: inout PendingWrite) {
        item.marked { message in
            item.disc.pointee.subtract(.queued)
            item.disc.pointee.insert(.writing)
            out = PendingWrite(
                item: item, message: message.map { messages.retain($0) }, deadline: item.pointee.deadline,
                isStored: item.disc.pointee.contains(.stored))
        }
    }
}
