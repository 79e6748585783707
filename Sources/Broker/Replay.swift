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
    /// `ACLEpochs` before the first question was deferred: what was forgotten since is not to be remembered.
    let aclEpoch: UInt32
    /// What the hooks before the one that answers later have put in place of the packet's message, one reference owned.
    var message: MessageRef?
    var subs: [Changed] = []

    init(aclEpoch: UInt32) { self.aclEpoch = aclEpoch }

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

    /// Gives back what is owned; nothing may be used after that.
    func end() {
        message?.release()
        for answer in answers { answer.end() }
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
        case .acl: return Replay.Answer(verdict: Int32(MARTLET_DENY))
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
    /// - Parameter epoch: `aclEpochs` before `entry` was asked: an ACL answer may be there, and forgotten, by now.
    func openReplay<F>(
        _ c: ConnectionRef, _ question: Replay.Question, _ context: UnsafePointer<CallContext>,
        _ entry: UnsafePointer<ChainEntry<F>>, askedAt epoch: UInt32? = nil
    ) {
        if c.pointee.replay == nil {
            c.pointee.replay = .allocate(capacity: 1)
            c.pointee.replay!.initialize(to: Replay(aclEpoch: epoch ?? aclEpochs[handle(c)]))
        }
        let replay = c.pointee.replay!
        replay.pointee.deferral = context.pointee.deferral
        replay.pointee.timer = deferralTimer
        replay.pointee.question = question
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
        guard let auth, givenAnswer(c, .auth) == nil, let replay = c.pointee.replay else { return }
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
        replay.pointee.end()
        replay.deinitialize(count: 1)
        replay.deallocate()
    }

    /// On the owning shard: records the answer and looks at the packet again.
    func answered(_ id: UInt64, _ slot: Deferrals.Slot, _ answer: Replay.Answer) {
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
        resumeIfFree(c)
    }
}
