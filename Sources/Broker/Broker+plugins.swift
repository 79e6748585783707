// SPDX-License-Identifier: Apache-2.0
public import CMartlet
import CReactor
public import Reactor
public import Sessions

/// What the plugin host asks of the broker. C values in, C values out: these functions are what the extension tables
/// call, with the plugin's instance already resolved to its `owner` index.
extension Broker {
    // MARK: Chains

    /// [main] Makes `chains` the ones in force and returns those that were. The old set may still be in use until
    /// `quiesce` returns.
    public func install(_ chains: UnsafeMutablePointer<ChainSet>) -> UnsafeMutablePointer<ChainSet>? { fatalError() }

    /// [main] Returns when every loop has finished what it was doing when this was called: no loop is inside a chain
    /// that was replaced before.
    public func quiesce() { fatalError() }

    /// [main] Ends every open deferral of a plugin with its chain's default.
    public func abandonDeferrals(of owner: UInt32) { fatalError() }

    /// [main] Ends every feed of a plugin: its `end` has been called when this returns.
    public func endFeeds(of owner: UInt32) { fatalError() }

    // MARK: Deferrals

    /// [loop] `ctx` is that of the event or request at hand. 0 when this call cannot be deferred.
    public func makeDeferral(ctx: UnsafeRawPointer?, timeoutMS: UInt32) -> martlet_deferred { fatalError() }
    /// [any] MARTLET_E_STALE when it was answered, timed out or abandoned before.
    public func resumeHook(
        _ deferral: martlet_deferred, verdict: Int32, replacement: MessageRef?
    ) -> martlet_status { fatalError() }
    /// [any]
    public func answerAuth(_ deferral: martlet_deferred, _ result: UnsafePointer<martlet_auth_result>) -> martlet_status {
        fatalError()
    }
    /// [any]
    public func answerACL(_ deferral: martlet_deferred, verdict: Int32) -> martlet_status { fatalError() }
    /// Deferrals not yet answered, for `plugins show`.
    public func openDeferrals(of owner: UInt32) -> Int { fatalError() }

    // MARK: Clients

    /// [loop] of the client.
    public func clientField(
        _ client: martlet_client, _ field: Int32, _ out: UnsafeMutablePointer<martlet_bytes>
    ) -> martlet_status { fatalError() }
    /// [any but another loop]
    public func copyClientField(
        _ client: martlet_client, _ field: Int32, _ destination: UnsafeMutablePointer<UInt8>?, _ capacity: Int
    ) -> Int { fatalError() }
    /// [any]
    public func kick(_ client: martlet_client, reason: UInt8) -> martlet_status { fatalError() }
    /// [any but a loop]
    public func client(withID clientID: martlet_bytes) -> martlet_client { fatalError() }
    /// [any] 0: all clients.
    public func invalidateACL(_ client: martlet_client) -> martlet_status { fatalError() }

    /// [loop] hooks.set_topic: `ctx` is that of the event.
    public func setTopic(
        _ event: UnsafeMutablePointer<martlet_event>, _ index: Int, _ topic: martlet_bytes
    ) -> martlet_status { fatalError() }

    // MARK: Publish and subscribe

    /// [any] Takes over one reference.
    public func publish(_ message: MessageRef, runHooks: Bool, skipping owner: UInt32) -> martlet_status { fatalError() }
    /// [any]
    public func subscribe(
        session: martlet_session, _ subscriptions: UnsafePointer<martlet_sub>, _ count: Int
    ) -> martlet_status { fatalError() }
    /// [any] Takes over one reference.
    public func deliver(_ message: MessageRef, to session: martlet_session, qos: UInt8, retain: Bool) -> martlet_status {
        fatalError()
    }
    /// [loop] of the session.
    public func feed(
        _ session: martlet_session, _ feed: UnsafePointer<martlet_feed>, owner: UInt32
    ) -> martlet_status { fatalError() }

    /// A fresh message id, ascending per node.
    public func nextMessageID() -> UInt64 { fatalError() }

    // MARK: Loops

    public var loopCount: Int { fatalError() }
    /// The data loop with this index; an `EventLoop`, so timers, watches and tasks are its own functions.
    public func loop(_ index: Int) -> EventLoop { fatalError() }
}
