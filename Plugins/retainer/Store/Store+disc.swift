// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization

/// Write-behind: publishers only mark items; one writer at a time takes all that wait into a run (`Store+run.swift`),
/// writes it a batch at a time, each in one transaction without the lock, and comes back to note what is on disc now.
extension Store {
    /// The most changes of one transaction, and about the most bytes. LMDB keeps the pages of the largest transaction for
    /// ever: 9 MB with this limit, 22 MB with four times as many, which would write a third faster.
    static let batchLimit = 1024
    /// Of a run so dense that as many changes touch no more pages than that.
    static let denseBatchLimit = 4096
    static let batchBytes = 16 << 20
    /// Items of one hold of the lock.
    static let hold = 16

    var disc: Disc? { state.pointee.disc.map { Disc(state: $0) } }

    // MARK: - Start

    /// Reads every record into a new, empty store. Expired ones are queued for removal. [main]
    func attach(_ disc: Disc, now: Int64) throws(DiscFailure) {
        state.pointee.disc = disc.state
        try disc.loadAll { (key, record) throws(DiscFailure) in
            let expired = record.deadline != 0 && record.deadline <= now
            guard let item = ItemRef.make(key: key) else { throw DiscFailure(text: "There is no memory left.") }
            item.disc.pointee = .stored
            item.pointee.isLive = !expired
            if !expired, storage == .disc {
                guard let message = messages.make(record.fields) else {
                    free(item)
                    throw DiscFailure(text: "A record holds no valid message.")
                }
                item.pointee.message = message
            }
            add(item, state.pointee.index.hash(key))
            if expired { return enqueue(item) }
            countOne()
            item.pointee.deadline = record.deadline
            state.pointee.expiry.update(item)
        }
        disc.forgetPages()
    }

    // MARK: - Writing

    /// Writes one batch and says how many changes it took out of the queue; 0: nothing waits. Only one thread at a time.
    /// Blocks.
    func writeBatch(syncs: Bool = true) throws(DiscFailure) -> Int {
        guard let disc else { return 0 }
        if state.pointee.runLeft.load(ordering: .relaxed) == 0, !beginRun() { return 0 }
        let limit = state.pointee.run.pointee.isDense ? Store.denseBatchLimit : Store.batchLimit
        let memory = UnsafeMutablePointer<PendingWrite>.allocate(capacity: limit)
        defer { memory.deallocate() }
        let count = takeWrites(memory, limit)
        let batch = UnsafeMutableBufferPointer(start: memory, count: count)
        do throws(DiscFailure) {
            try disc.write(UnsafeBufferPointer(batch), messages, syncs: syncs)
        } catch {
            finishWrites(batch, written: false)
            throw error
        }
        state.pointee.commits.add(1, ordering: .releasing)
        finishWrites(batch, written: true)
        return count
    }

    private func finishWrites(_ batch: UnsafeMutableBufferPointer<PendingWrite>, written: Bool) {
        var done = 0
        var dead = 0
        while done < batch.count {
            let end = min(done + Store.hold, batch.count)
            sharing { (_, lane) in
                for i in done..<end { finish(&batch[i], written, lane) }
            }
            for i in done..<end {
                if let message = batch[i].message { messages.release(message) }
                if let message = batch[i].surplus { messages.release(message) }
                if batch[i].isDead {
                    batch[dead] = batch[i]
                    dead += 1
                }
            }
            done = end
        }
        discard(batch.baseAddress, dead)
    }

    /// [shared lock]
    private func finish(_ write: inout PendingWrite, _ written: Bool, _ lane: UnsafeMutablePointer<Lane>) {
        let item = write.item
        item.marked { place in
            if written {
                if write.message != nil { item.disc.pointee.insert(.stored) } else { item.disc.pointee.remove(.stored) }
            } else if item.isLive || item.disc.pointee.contains(.stored) {
                // A deletion of what never got there needs no second try.
                queue(item, in: lane)
            }
            write.isDead = !item.isLive && item.disc.pointee == .writing
            // It stays marked until it is freed: otherwise somebody else could do that first.
            if write.isDead { return }
            item.disc.pointee.remove(.writing)
            if storage == .discOnly, item.isLive, item.disc.pointee == .stored { swap(&place, &write.surplus) }
        }
    }

    /// Frees items that nobody wanted a moment ago, unless somebody does now.
    private func discard(_ dead: UnsafeMutablePointer<PendingWrite>?, _ count: Int) {
        guard let dead else { return }
        var done = 0
        while done < count {
            let end = min(done + Store.hold, count)
            changing { _ in
                for i in done..<end {
                    dead[i].item.disc.pointee.remove(.writing)
                    if dead[i].item.isDead { discard(dead[i].item) }
                }
            }
            done = end
        }
    }

    /// Writes all that waits, and syncs once at the end. [main] after the hooks are gone.
    func flush() throws(DiscFailure) {
        var any = false
        while try writeBatch(syncs: false) > 0 { any = true }
        if any { try disc?.sync() }
    }

    // MARK: - Reading

    /// Fetches what a slice of storage disc_only lacks. What is gone meanwhile stays nil. Blocks.
    func fetch(_ slice: inout Slice) throws(DiscFailure) {
        try disc?.read(messages) { get in
            for place in 0..<slice.remaining where slice.message(place) == nil {
                slice.setMessage(get(slice.key(place)), at: place)
            }
        }
    }
}
