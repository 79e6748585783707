// SPDX-License-Identifier: Apache-2.0
public import Broker
public import CMartlet
public import Reactor
public import Sessions

/// What the plugin host stands on: exactly the functions of Broker+plugins.swift, as a protocol, so that the life cycle
/// can be tested against a broker of a few lines.
public protocol BrokerPort: AnyObject, Sendable {
    func install(_ chains: UnsafeMutablePointer<ChainSet>) -> UnsafeMutablePointer<ChainSet>?
    func quiesce()
    func abandonDeferrals(of owner: UInt32)
    func endFeeds(of owner: UInt32)

    func makeDeferral(ctx: UnsafeRawPointer?, timeoutMS: UInt32) -> martlet_deferred
    func resumeHook(_ deferral: martlet_deferred, verdict: Int32, replacement: MessageRef?) -> martlet_status
    func answerAuth(_ deferral: martlet_deferred, _ result: UnsafePointer<martlet_auth_result>) -> martlet_status
    func answerACL(_ deferral: martlet_deferred, verdict: Int32) -> martlet_status
    func setAnyTopic(ctx: UnsafeRawPointer?) -> martlet_status
    func openDeferrals(of owner: UInt32) -> Int

    func clientField(_ client: martlet_client, _ field: Int32, _ out: UnsafeMutablePointer<martlet_bytes>)
        -> martlet_status
    func copyClientField(
        _ client: martlet_client, _ field: Int32, _ destination: UnsafeMutablePointer<UInt8>?, _ capacity: Int
    ) -> Int
    func kick(_ client: martlet_client, reason: UInt8) -> martlet_status
    func client(withID clientID: martlet_bytes) -> martlet_client
    func invalidateACL(_ client: martlet_client) -> martlet_status
    func setTopic(_ event: UnsafeMutablePointer<martlet_event>, _ index: Int, _ topic: martlet_bytes) -> martlet_status

    func publish(_ message: MessageRef, runHooks: Bool, skipping owner: UInt32) -> martlet_status
    func subscribe(
        session: martlet_session, _ subscriptions: UnsafePointer<martlet_sub>, _ count: Int
    ) -> martlet_status
    func deliver(_ message: MessageRef, to session: martlet_session, qos: UInt8, retain: Bool) -> martlet_status
    func feed(_ session: martlet_session, _ feed: UnsafePointer<martlet_feed>, owner: UInt32) -> martlet_status
    func nextMessageID() -> UInt64

    func zone(named name: String) -> Int?
    func gateway(_ terms: ListenerTerms) -> UInt16
    func adopt(_ t: TransportRef, peer: PeerAddress, listener: UInt16, zone: Int)
    func gatewayCounts(_ name: String) -> (current: Int, shutdowns: [String: Int])?

    var loopCount: Int { get }
    func loop(_ index: Int) -> EventLoop
}

extension Broker: BrokerPort {}
