// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Sessions

/// Answers already given for the packet at the head of a connection's input: when a plugin defers, the packet stays
/// where it is and is processed again, from the start, once the answer is there; recorded answers are used instead of
/// asking again. So no code needs to save its state half-way.
struct Replay {
    /// What a packet is asked about, the same in each pass. Not a count of what was asked before: an answer that is in
    /// the ACL cache by then is not asked for again.
    struct Question: Equatable {
        let number: Int
        static let auth = Question(number: -2)
        static let hook = Question(number: -1)
        /// - Parameter filter: which of a SUBSCRIBE; 0 for a PUBLISH and for a will.
        static func acl(_ filter: Int) -> Question { Question(number: filter) }
    }

    struct Answer {
        var question = Question.auth
        var verdict: Int32
        var giver = Giver()
        /// Publish hook: the message that replaces the packet's, one reference owned; or nil.
        var message: MessageRef?
        /// Auth: details of the answer, owned.
        var auth: UnsafeMutablePointer<AuthAnswer>?
    }

    /// The entry of a chain that answers later. Not its position: chains change while it is waited for.
    struct Giver {
        var owner: UInt32 = 0
        var cost: UnsafeMutablePointer<CallCost>?

        func isOf<F>(_ entry: ChainEntry<F>) -> Bool { entry.owner == owner && entry.cost == cost }
    }

    /// A subscription as the hooks before the one that answers later have left it.
    struct Changed {
        var sub: martlet_sub
        var topic: [UInt8]
    }

    var answers: [Answer] = []
    /// The open deferral, 0 when the answer is in, and the question it is for.
    var deferral: UInt64 = 0
    /// Ends the wait for it.
    var timer: UInt64 = 0
    var question = Question.auth
    var giver = Giver()
    /// `ACLEpochs` before the first ACL module that answers later was asked: what was forgotten since is not to be
    /// remembered. nil: no module did.
    var aclEpoch: UInt32?
    /// When the packet was looked at first, Unix ms.
    let arrivedAt: Int64
    /// What the first pass has called the packet's message; 0: it did not come so far.
    var messageID: UInt64 = 0
    /// Filters before this one have been decided by the ACL, and counted.
    var decided = 0
    /// What the hooks before the one that answers later have put in place of the packet's message, one reference owned.
    var message: MessageRef?
    var subs: [Changed] = []

    /// The message is the one it was: its age counts from its arrival, and plugins that have seen it know it again.
    func stamp(_ message: inout Message) {
        message.timestamp = arrivedAt
        if messageID != 0 { message.id = messageID }
    }

    /// Takes over one reference.
    mutating func keep(_ message: MessageRef) {
        self.message?.release()
        self.message = message
    }

    mutating func keep(_ subs: UnsafeMutableBufferPointer<martlet_sub>) {
        self.subs = subs.map { Changed(sub: $0, topic: Array($0.topic.bytes)) }
    }

    /// Puts back what was kept. The packet may lie elsewhere by now: of it nothing is taken but the share group.
    func restore(_ subs: UnsafeMutableBufferPointer<martlet_sub>, _ topics: inout [[UInt8]]) {
        for (i, kept) in self.subs.enumerated() where i < subs.count {
            let group = subs[i].share_group
            topics.append(kept.topic)
            subs[i] = kept.sub
            subs[i].topic = topics.last!.withUnsafeBytes { $0.c }
            subs[i].share_group = group
        }
    }

    /// Gives back what is owned, and the replay itself.
    static func free(_ replay: UnsafeMutablePointer<Replay>) {
        replay.pointee.message?.release()
        for answer in replay.pointee.answers { answer.end() }
        replay.deinitialize(count: 1)
        replay.deallocate()
    }
}

extension Replay.Answer {
    /// Gives back what is owned.
    func end() {
        message?.release()
        auth?.deinitialize(count: 1)
        auth?.deallocate()
    }

    /// What counts when no answer came: a refused login, a denial, a stopped message.
    static func defaulted(_ kind: CallContext.Kind) -> Replay.Answer {
        switch kind {
        case .auth:
            let auth = UnsafeMutablePointer<AuthAnswer>.allocate(capacity: 1)
            auth.initialize(to: AuthAnswer(reason: 0x88))
            return Replay.Answer(verdict: Int32(MARTLET_DENY), auth: auth)
        case .acl: return Replay.Answer(verdict: Int32(MARTLET_ERROR))
        case .hook: return Replay.Answer(verdict: Int32(MARTLET_STOP))
        }
    }
}

struct AuthAnswer {
    var superuser = false
    var reason: UInt8 = 0
    var username: [UInt8] = []
    var mountpoint: [UInt8] = []
    var data: [UInt8] = []
    /// The module's words for the person at the client; empty: the broker's own.
    var text: [UInt8] = []
}

extension Shard {
    /// The packet at the head of the input waits for what `entry` has announced.
    func openReplay<F>(
        _ c: ConnectionRef, _ question: Replay.Question, _ context: UnsafePointer<CallContext>,
        _ entry: UnsafePointer<ChainEntry<F>>
    ) {
        if c.pointee.replay == nil {
            c.pointee.replay = .allocate(capacity: 1)
            c.pointee.replay!.initialize(to: Replay(arrivedAt: unixMS))
        }
        let replay = c.pointee.replay!
        replay.pointee.deferral = context.pointee.deferral
        replay.pointee.timer = deferralTimer
        replay.pointee.question = question
        // All the ACL had to say comes before the hooks.
        replay.pointee.decided = question == .hook ? .max : max(replay.pointee.decided, question.number)
        replay.pointee.giver = Replay.Giver(owner: entry.pointee.owner, cost: entry.pointee.cost)
    }

    /// The answer recorded for a question, if a plugin has already given one.
    @inline(__always)
    func givenAnswer(_ c: ConnectionRef, _ question: Replay.Question) -> Replay.Answer? {
        guard let replay = c.pointee.replay else { return nil }
        return recorded(replay, question)
    }

    @inline(never)
    private func recorded(_ replay: UnsafeMutablePointer<Replay>, _ question: Replay.Question) -> Replay.Answer? {
        replay.pointee.answers.last { $0.question == question }
    }

    /// An auth module that answered at once is not asked again when the packet comes back for the sake of its will:
    /// an exchange of enhanced authentication takes each proof once.
    func keepAnswer(_ c: ConnectionRef, _ auth: AuthAnswer?) {
        guard let auth, let replay = c.pointee.replay else { return }
        if let given = givenAnswer(c, .auth), given.verdict != MARTLET_IGNORE { return }
        let kept = UnsafeMutablePointer<AuthAnswer>.allocate(capacity: 1)
        kept.initialize(to: auth)
        replay.pointee.answers.append(
            Replay.Answer(question: .auth, verdict: Int32(MARTLET_ALLOW), auth: kept))
    }

    /// Where the chain goes on after an answer that decided nothing; nil when who gave it is not in it any more.
    func position<F>(after answer: Replay.Answer, in entries: UnsafeMutableBufferPointer<ChainEntry<F>>) -> Int? {
        entries.firstIndex { answer.giver.isOf($0) }.map { $0 + 1 }
    }

    func dropReplay(_ c: ConnectionRef) {
        guard let replay = c.pointee.replay else { return }
        c.pointee.replay = nil
        if replay.pointee.deferral != 0 {
            broker.deferrals.abandon(replay.pointee.deferral)
            cancel(timer: replay.pointee.timer)
        }
        Replay.free(replay)
    }

    /// On the owning shard: records the answer and looks at the packet again.
    /// - Parameter byDefault: nobody gave it.
    func answered(_ id: UInt64, _ slot: Deferrals.Slot, _ answer: Replay.Answer, byDefault: Bool = false) {
        guard let c = connection(slot.connection), let replay = c.pointee.replay, replay.pointee.deferral == id else {
            answer.end()
            return
        }
        var answer = answer
        answer.question = replay.pointee.question
        answer.giver = replay.pointee.giver
        replay.pointee.deferral = 0
        cancel(timer: replay.pointee.timer)
        replay.pointee.answers.append(answer)
        if answer.verdict == MARTLET_ERROR, !byDefault { countError(answer.giver, slot.kind) }
        resumeIfFree(c)
    }

    /// A module says that it could not decide.
    private func countError(_ giver: Replay.Giver, _ kind: CallContext.Kind) {
        guard kind != .hook else { return }
        // Who has left the chain meanwhile has taken its counters along.
        let isPresent =
            kind == .acl
            ? chains.pointee.acl.contains { giver.isOf($0) } : chains.pointee.auth.contains { giver.isOf($0) }
        if isPresent, let cost = giver.cost { (cost + number).pointee.errors &+= 1 }
        broker.reportVerdict(owner: giver.owner, hook: kind == .acl ? -1 : -2, isError: true)
    }
}
