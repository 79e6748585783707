// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// Keeps the last retained message of each topic and feeds it to new subscriptions.
///
/// Reading order: `Store/TopicKey.swift`, `Store/TopicTree.swift`, `Store/Cursor.swift`, `Store/Store.swift`, then
/// `Retainer+publish.swift` and `Retainer+subscribe.swift`, which are the two hooks.
final class Retainer: Plugin {
    let settings = Settings()
    let calls: MessageCalls
    let pubsub: UnsafePointer<martlet_pubsub_v1>
    /// Set by `importState` or `start`; hooks run only after `start`.
    private(set) var store: Store?
    let work: Work
    private(set) var numbers: Numbers?
    let complaints: Complaints

    init(checking host: Host) throws(PluginError) {
        guard let messages = host.rawExtension("martlet.message/1"), let pubsub = host.rawExtension("martlet.pubsub/1")
        else { throw PluginError(.unsupported, "This broker cannot feed stored messages to sessions.") }
        calls = MessageCalls(host: host.raw, table: messages.assumingMemoryBound(to: martlet_message_v1.self))
        self.pubsub = pubsub.assumingMemoryBound(to: martlet_pubsub_v1.self)
        complaints = Complaints(host)
        work = Work(host)
        pace = Pace(host.exec)
        super.init(host)
    }

    /// How often it looks at what waits for the disc and what has expired.
    let pace: Pace

    override func start() throws(PluginError) {
        // What apply() sees is not in force yet, so the typed values are read in a turn of their own.
        try host.config.declare(Settings.keys) { [self] (_, _) throws(PluginError) in
            host.exec.onMain { [self] in try? settings.readLimits(host.config) }
        }
        try settings.read(host.config)
        let store = try openStore()
        self.store = store
        let numbers = try Numbers(host.metrics)
        self.numbers = numbers
        numbers.show(store)
        // [MQTT-3.3.1-8]: nothing else is stored, and nothing else is shown to us.
        try host.hooks.onMessagePublish(priority: Self.last, retainOnly: true) { [self] event in
            onPublish(event, store, numbers)
            return .next
        }
        try host.hooks.onSessionSubscribed { [self] event in onSubscribed(event, store) }
        try addCommand(store)
        try pace.start { [self] in onTick(store, numbers) }
    }

    /// What is retained is what all other hooks have made of a message, and only if none of them stopped it.
    private static var last: Int32 { -10_000 }

    private func openStore() throws(PluginError) -> Store {
        if let store {
            try checkSame(store)
            return store
        }
        let store = Store.make(settings.storage, messages: calls)
        guard settings.storage != .ram else { return store }
        do throws(DiscFailure) {
            let disc = try Disc.open(settings.directory)
            do throws(DiscFailure) {
                try store.attach(disc, now: Clock.unix)
            } catch {
                disc.close()
                throw DiscFailure(
                    text: "The retained messages in \(settings.directory) cannot be loaded: \(error.text)")
            }
        } catch {
            store.destroy()
            throw PluginError(.io, error.text)
        }
        return store
    }

    /// [main] The store came from the image before: it cannot change its kind on the way.
    private func checkSame(_ store: Store) throws(PluginError) {
        let before = store.disc.map { String(decoding: $0.state.pointee.directory.bytes, as: UTF8.self) }
        guard store.storage == settings.storage, before == nil || before == settings.directory else {
            throw PluginError(
                .wrongState,
                "retainer.storage_type and retainer.dir change only with unload and load, not with reload.")
        }
    }

    private func onTick(_ store: Store, _ numbers: Numbers) {
        let now = Clock.unix
        var rounds = 0
        while rounds < 16, !store.expireSlice(now: now).isDone { rounds += 1 }
        resumeParked(store)
        store.releaseSurplus()
        work.writeIfNeeded(store, complaints)
        numbers.show(store)
        pace.note(isQuiet: store.isQuiet(until: now + Int64(Pace.slow)))
    }

    // MARK: - Reload, see HandOver

    override var keepsState: Bool { true }

    override func exportState(_ out: StateWriter) throws(PluginError) {
        guard let store else { throw PluginError(.wrongState, "The retainer has not started.") }
        HandOver(store: UInt(bitPattern: store.state)).write(to: out)
    }

    override func importState(_ state: Bytes) throws(PluginError) {
        guard let taken = HandOver.take(state) else {
            throw PluginError(
                .unsupported,
                "This version keeps retained messages in another form: unload the retainer and load it again.")
        }
        store = Store(taken, calls)
    }

    // MARK: - End

    override func stop() -> StopAnswer {
        pace.end()
        let idle = work.close { [self] in
            finish()
            finishStopping()
        }
        guard idle else { return .later }
        finish()
        return .now
    }

    /// Nothing of this image runs any more. The last image writes what waits.
    private func finish() {
        guard let store, store.state.pointee.owners.load(ordering: .acquiring) == 1 else { return }
        do throws(DiscFailure) { try store.flush() } catch {
            host.log.error("Retained messages could not be written, the last changes are lost: \(error.text)")
        }
    }

    deinit {
        guard let store,
            store.state.pointee.owners.subtract(1, ordering: .acquiringAndReleasing).newValue == 0
        else { return }
        let disc = store.disc
        store.destroy()
        disc?.close()
    }
}
