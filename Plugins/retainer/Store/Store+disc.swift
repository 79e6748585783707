// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization

/// Write-behind: publishers only mark items; one writer at a time takes them in batches, writes a batch in one
/// transaction without the lock, and comes back to note what is on disc now.
extension Store {
    /// The most changes of one transaction, and about the most bytes. LMDB keeps the pages of the largest transaction for
    /// ever: 9 MB with this limit, 22 MB with four times as many, which would write a third faster.
    static let batchLimit = 1024
    static let batchBytes = 16 << 20
    /// Items of one hold of the lock: publishers spin for it.
    private static let hold = 16

    var disc: Disc? { state.pointee.disc.map { Disc(state: $0) } }

    // MARK: - Start

    /// Reads every record into a new, empty store. Expired ones are queued for removal. [main]
    func attach(_ disc: Disc, now: Int64) throws(DiscFailure) {
        state.pointee.disc = disc.state
        try disc.loadAll { (key, record) throws(DiscFailure) in
            let expired = record.deadline != 0 && record.deadline <= now
            guard let item = ItemRef.make(key: key) else { throw DiscFailure(text: "There is no memory left.") }
            item.pointee.flags = expired ? [.stored] : [.stored, .live]
            if !expired, storage == .disc {
                guard let message = messages.make(record.fields) else {
                    free(item)
                    throw DiscFailure(text: "A record holds no valid message.")
                }
                item.pointee.message = message
            }
            state.pointee.tree.insert(item)
            if expired { return enqueue(item) }
            countOne()
            item.pointee.deadline = record.deadline
            state.pointee.expiry.update(item)
        }
        disc.forgetPages()
    }

    // MARK: - Writing

    /// Writes one batch of at most `batchLimit` changes and says how many it took out of the queue; 0: nothing waits.
    /// Only one thread at a time. Blocks.
    func writeBatch(syncs: Bool = true) throws(DiscFailure) -> Int {
        guard let disc else { return 0 }
        let memory = UnsafeMutablePointer<PendingWrite>.allocate(capacity: Store.batchLimit)
        defer { memory.deallocate() }
        let (taken, count) = takeWrites(memory)
        guard count > 0 else { return taken }
        var batch = UnsafeMutableBufferPointer(start: memory, count: count)
        // Neighbours in key order share LMDB pages.
        batch.sort { TopicKey.compare($0.item.key, $1.item.key) < 0 }
        do throws(DiscFailure) {
            try disc.write(UnsafeBufferPointer(batch), messages, syncs: syncs)
        } catch {
            finishWrites(batch, written: false)
            throw error
        }
        finishWrites(batch, written: true)
        state.pointee.commits.add(1, ordering: .releasing)
        return taken
    }

    /// Takes changes out of the queue, no more than were there at the beginning: an item that changes again meanwhile
    /// is at the end of the queue and belongs to the next batch, so none is twice in one. Deleted items that never
    /// reached the disc go at once.
    private func takeWrites(_ out: UnsafeMutablePointer<PendingWrite>) -> (taken: Int, writes: Int) {
        let limit = min(Store.batchLimit, counts().queued)
        var taken = 0
        var count = 0
        var bytes = 0
        while taken < limit, bytes < Store.batchBytes {
            changing { state in
                for _ in 0..<min(Store.hold, limit - taken) {
                    guard let item = state.pointee.queue.popFirst() else { return }
                    taken += 1
                    item.pointee.flags.remove(.queued)
                    if item.pointee.flags.isEmpty {
                        discard(item)
                        continue
                    }
                    item.pointee.flags.insert(.writing)
                    out[count] = PendingWrite(
                        item: item, message: item.pointee.message.map { messages.retain($0) },
                        deadline: item.pointee.deadline)
                    if let message = out[count].message { bytes += messages.read(message).payload.len }
                    count += 1
                }
            }
        }
        return (taken, count)
    }

    private func finishWrites(_ batch: UnsafeMutableBufferPointer<PendingWrite>, written: Bool) {
        var done = 0
        while done < batch.count {
            let end = min(done + Store.hold, batch.count)
            changing { _ in
                for i in done..<end { finish(&batch[i], written) }
            }
            for i in done..<end {
                if let message = batch[i].message { messages.release(message) }
                if let message = batch[i].surplus { messages.release(message) }
            }
            done = end
        }
    }

    private func finish(_ write: inout PendingWrite, _ written: Bool) {
        let item = write.item
        item.pointee.flags.remove(.writing)
        if !written {
            // A deletion of what never got there needs no second try.
            if item.pointee.flags.isEmpty { discard(item) } else { enqueue(item) }
            return
        }
        if write.message != nil { item.pointee.flags.insert(.stored) } else { item.pointee.flags.remove(.stored) }
        if item.pointee.flags.isEmpty { return discard(item) }
        if storage == .discOnly, item.pointee.flags == [.live, .stored] {
            write.surplus = item.pointee.message
            item.pointee.message = nil
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
