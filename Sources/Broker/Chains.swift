// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// What one loop knows of the cost of one chain entry. Written by that loop alone; readers may see a sum that is a
/// call old. One cache line, so that loops do not disturb each other.
@frozen
public struct CallCost {
    public var calls: UInt64 = 0
    public var errors: UInt64 = 0
    /// Sampled calls (1 in 64), their sum and maximum in ns.
    public var sampled: UInt64 = 0
    public var sumNS: UInt64 = 0
    public var maxNS: UInt64 = 0
    /// Log2 histogram of sampled ns: below 16, 32, 64 ... 16 ms.
    public var histogram: InlineArray<22, UInt32> = InlineArray(repeating: 0)

    public init() {}
}

/// A function that a plugin put into a chain.
@frozen
public struct ChainEntry<Function> {
    public var function: Function
    public var user: UnsafeMutableRawPointer?
    /// Index of the plugin instance, for skipping its own hooks, for logs and for deferrals.
    public var owner: UInt32
    public var priority: Int32
    /// Topic filter; empty: every topic. The bytes live as long as the chain.
    public var filter: UnsafeRawBufferPointer
    /// One element per loop.
    public var cost: UnsafeMutablePointer<CallCost>
    /// Of the message hooks: for messages with the retain flag.
    public var retainOnly: Bool

    public init(
        function: Function, user: UnsafeMutableRawPointer?, owner: UInt32, priority: Int32,
        filter: UnsafeRawBufferPointer, cost: UnsafeMutablePointer<CallCost>, retainOnly: Bool = false
    ) {
        self.function = function
        self.user = user
        self.owner = owner
        self.priority = priority
        self.filter = filter
        self.cost = cost
        self.retainOnly = retainOnly
    }
}

public typealias HookEntry = ChainEntry<martlet_hook_fn>
public typealias AuthEntry = ChainEntry<martlet_auth_fn>
public typealias ACLEntry = ChainEntry<martlet_acl_fn>
public typealias PSKEntry = ChainEntry<martlet_psk_fn>
public typealias DeliverEntry = ChainEntry<martlet_deliver_fn>

/// All chains at one moment: immutable once installed. The loops read it through one pointer; the plugin host makes a
/// new one for every change and frees the old one after `Broker.quiesce`.
public struct ChainSet {
    /// By hook number, in calling order.
    public var hooks: InlineArray<13, UnsafeMutableBufferPointer<HookEntry>>
    /// message.publish concerns every message; otherwise those with the retain flag, or none.
    public var everyPublish: Bool
    public var auth: UnsafeMutableBufferPointer<AuthEntry>
    public var acl: UnsafeMutableBufferPointer<ACLEntry>
    public var psk: UnsafeMutableBufferPointer<PSKEntry>
    /// Plugins' own subscriptions, by filter in the entry.
    public var deliver: UnsafeMutableBufferPointer<DeliverEntry>

    public init() {
        hooks = InlineArray(repeating: UnsafeMutableBufferPointer(start: nil, count: 0))
        everyPublish = false
        auth = UnsafeMutableBufferPointer(start: nil, count: 0)
        acl = UnsafeMutableBufferPointer(start: nil, count: 0)
        psk = UnsafeMutableBufferPointer(start: nil, count: 0)
        deliver = UnsafeMutableBufferPointer(start: nil, count: 0)
    }
}
