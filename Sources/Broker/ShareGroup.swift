// SPDX-License-Identifier: Apache-2.0
import Topics

/// A member of a share group, as every shard sees it: the session is only a handle here.
struct ShareMember: BitwiseCopyable {
    var shard: UInt32
    /// Index in the session's own list.
    var index: UInt32
    var session: UInt64
    var identifier: UInt32
    var options: SubOptions
    var isOnline: Bool
}

/// `$share/NAME/FILTER`: the members that take turns, those that are connected first. MQTT 5 §4.8.2.
struct ShareGroup: ~Copyable {
    /// What a message that went through the group remembers of it. A number is given to another group when this one has
    /// gone, a serial is not: a message waits longer than its group may live.
    let serial: UInt32
    var node: UInt32
    var name: [UInt8]
    private(set) var members = PlainList<ShareMember>()
    private(set) var onlineCount = 0
    /// Neighbours in the chain of groups on the same filter; 0: none.
    var next: UInt32 = 0
    var previous: UInt32 = 0
    /// Session handle the sticky strategy has chosen; 0: none.
    var sticky: UInt64 = 0
    /// Where each session is in `members`, for a group with too many of them to look through.
    private var places: [UInt64: UInt32] = [:]

    private static let many = 16

    init(serial: UInt32, node: UInt32, name: [UInt8]) {
        self.serial = serial
        self.node = node
        self.name = name
    }

    func place(of session: UInt64) -> Int? {
        if members.count <= Self.many { return members.all.firstIndex { $0.session == session } }
        return places[session].map { Int($0) }
    }

    mutating func append(_ member: ShareMember) {
        members.append(member)
        if members.count > Self.many {
            if places.isEmpty { for i in 0..<members.count { places[members[i].session] = UInt32(i) } }
            places[member.session] = UInt32(members.count - 1)
        }
        guard member.isOnline else { return }
        swap(members.count - 1, onlineCount)
        onlineCount += 1
    }

    mutating func remove(_ session: UInt64) {
        guard var at = place(of: session) else { return }
        if at < onlineCount {
            onlineCount -= 1
            swap(at, onlineCount)
            at = onlineCount
        }
        swap(at, members.count - 1)
        members.removeLast(1)
        if members.count > Self.many { places[session] = nil } else { places = [:] }
        members.shrink()
        if places.capacity > 64, members.count * 4 < places.capacity { shrinkPlaces() }
    }

    mutating func change(_ session: UInt64, _ options: SubOptions, _ identifier: UInt32) {
        guard let at = place(of: session) else { return }
        members.at(at).pointee.options = options
        members.at(at).pointee.identifier = identifier
    }

    mutating func setIndex(_ session: UInt64, _ index: UInt32) {
        if let at = place(of: session) { members.at(at).pointee.index = index }
    }

    mutating func setOnline(_ session: UInt64, _ isOnline: Bool) {
        guard let at = place(of: session), members[at].isOnline != isOnline else { return }
        members.at(at).pointee.isOnline = isOnline
        if isOnline {
            swap(at, onlineCount)
            onlineCount += 1
        } else {
            onlineCount -= 1
            swap(at, onlineCount)
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        guard a != b else { return }
        members.all.swapAt(a, b)
        guard !places.isEmpty else { return }
        places[members[a].session] = UInt32(a)
        places[members[b].session] = UInt32(b)
    }

    private mutating func shrinkPlaces() {
        var fewer: [UInt64: UInt32] = [:]
        fewer.reserveCapacity(members.count)
        for i in 0..<members.count { fewer[members[i].session] = UInt32(i) }
        places = fewer
    }
}

extension ShareGroup {
    /// Who may get a message: members that are connected, for a queue of an absent one is the last resort.
    /// Valid until the group next changes.
    struct Candidates {
        fileprivate var members: UnsafePointer<ShareMember>?
        /// Place of the one that may not; beyond the end: nobody is left out.
        fileprivate var leftOut: Int
        private(set) var count: Int

        fileprivate init(_ group: borrowing ShareGroup, avoiding: UInt64) {
            members = UnsafePointer(group.members.start)
            let place = avoiding == 0 ? nil : group.place(of: avoiding)
            leftOut = place ?? .max
            count = group.onlineCount - (leftOut < group.onlineCount ? 1 : 0)
            if count == 0 { count = group.members.count - (place == nil ? 0 : 1) }
        }

        subscript(index: Int) -> ShareMember { members.unsafelyUnwrapped[index < leftOut ? index : index + 1] }
    }

    func candidates(avoiding: UInt64) -> Candidates { Candidates(self, avoiding: avoiding) }

    /// The member the sticky strategy has chosen, while it comes into question.
    func stuck(avoiding: UInt64) -> ShareMember? {
        guard sticky != 0, sticky != avoiding, let at = place(of: sticky) else { return nil }
        let othersAreOnline = candidatesAreOnline(avoiding: avoiding)
        return members[at].isOnline || !othersAreOnline ? members[at] : nil
    }

    func candidatesAreOnline(avoiding: UInt64) -> Bool {
        guard onlineCount == 1 else { return onlineCount > 0 }
        return members[0].session != avoiding
    }

    func hasMember(besides session: UInt64) -> Bool { members.all.contains { $0.session != session } }
}

typealias ShareGroupRef = UnsafeMutablePointer<ShareGroup>

/// All share groups, by number, by serial, and by filter and name.
struct ShareGroups: ~Copyable {
    private struct Key: Hashable {
        var node: UInt32
        var name: [UInt8]
    }

    /// By number; 0 is nobody's.
    private var list = PlainList<ShareGroupRef?>()
    private var free = PlainList<UInt32>()
    private var numbers: [Key: UInt32] = [:]
    private var numbersBySerial: [UInt32: UInt32] = [:]
    private var lastSerial: UInt32 = 0
    /// Members of all groups together.
    private(set) var memberships = 0

    init() { list.append(nil) }

    deinit {
        for case let group? in list.all { Self.destroy(group) }
    }

    func find(_ node: UInt32, _ name: Bytes) -> UInt32? { numbers[Key(node: node, name: Array(name))] }

    /// Nil when there is no such group any more.
    @inline(__always)
    subscript(number: UInt32) -> ShareGroupRef? { Int(number) < list.count ? list[Int(number)] : nil }

    /// The number of the group with this serial, 0 when it is gone.
    func number(ofSerial serial: UInt32) -> UInt32 { numbersBySerial[serial] ?? 0 }

    func next(after number: UInt32) -> UInt32 { list[Int(number)]!.pointee.next }

    /// Adds a member to a group that is made when it is the first, before the group `first`.
    /// - Returns: the group's number, and whether it is new.
    mutating func add(
        _ member: ShareMember, node: UInt32, _ name: Bytes, before first: UInt32
    ) -> (number: UInt32, isNew: Bool) {
        memberships += 1
        let key = Key(node: node, name: Array(name))
        if let number = numbers[key] {
            list[Int(number)]!.pointee.append(member)
            return (number, false)
        }
        let group = ShareGroupRef.allocate(capacity: 1)
        group.initialize(to: ShareGroup(serial: newSerial(), node: node, name: key.name))
        group.pointee.next = first
        group.pointee.append(member)
        let number = place(group)
        if first != 0 { list[Int(first)]!.pointee.previous = number }
        numbers[key] = number
        numbersBySerial[group.pointee.serial] = number
        return (number, true)
    }

    private mutating func newSerial() -> UInt32 {
        repeat { lastSerial &+= 1 } while lastSerial == 0 || numbersBySerial[lastSerial] != nil
        return lastSerial
    }

    /// The group is gone with its last member.
    /// - Returns: its node, and its place in the chain if it is gone.
    mutating func remove(
        _ session: UInt64, from number: UInt32
    ) -> (node: UInt32, unlinked: (previous: UInt32, next: UInt32)?) {
        memberships -= 1
        let group = list[Int(number)]!
        group.pointee.remove(session)
        let (node, previous, next) = (group.pointee.node, group.pointee.previous, group.pointee.next)
        guard group.pointee.members.count == 0 else { return (node, nil) }
        numbers[Key(node: node, name: group.pointee.name)] = nil
        numbersBySerial[group.pointee.serial] = nil
        if previous != 0 { list[Int(previous)]!.pointee.next = next }
        if next != 0 { list[Int(next)]!.pointee.previous = previous }
        Self.destroy(group)
        list[Int(number)] = nil
        free.append(number)
        return (node, (previous, next))
    }

    /// Gives memory back that many more groups needed.
    mutating func trim() {
        var last = list.count
        while last > 1, list[last - 1] == nil { last -= 1 }
        guard list.count > 64, last * 4 < list.count else { return }
        list.removeLast(list.count - last)
        list.shrink()
        var fewer = PlainList<UInt32>()
        for number in free.all where number < last { fewer.append(number) }
        free = fewer
        var fewerNumbers: [Key: UInt32] = [:]
        fewerNumbers.reserveCapacity(numbers.count)
        fewerNumbers.merge(numbers) { $1 }
        numbers = fewerNumbers
        var fewerSerials: [UInt32: UInt32] = [:]
        fewerSerials.reserveCapacity(numbersBySerial.count)
        fewerSerials.merge(numbersBySerial) { $1 }
        numbersBySerial = fewerSerials
    }

    private mutating func place(_ group: ShareGroupRef) -> UInt32 {
        if free.count > 0 {
            let number = free[free.count - 1]
            free.removeLast(1)
            list[Int(number)] = group
            return number
        }
        list.append(group)
        return UInt32(list.count - 1)
    }

    private static func destroy(_ group: ShareGroupRef) {
        group.deinitialize(count: 1)
        group.deallocate()
    }
}

extension FilterTable {
    /// Adds a member; the group is made when it is the first. Returns node and group.
    func addShared(_ filter: Bytes, group name: Bytes, _ member: ShareMember) -> (node: UInt32, group: UInt32) {
        write {
            let node = enter(filter)
            let value = values[node]
            let (number, isNew) = groups.add(member, node: node, name, before: value.pointee.firstGroup)
            // Routes name the group, not its members.
            if isNew {
                value.pointee.firstGroup = number
                touch(filter)
            }
            return (node, number)
        }
    }

    func removeShared(_ group: UInt32, session: UInt64, filter: Bytes) {
        write {
            let (node, unlinked) = groups.remove(session, from: group)
            if let unlinked {
                if unlinked.previous == 0 { values[node].pointee.firstGroup = unlinked.next }
                touch(filter)
            }
            leave(node)
        }
    }

    /// Options or online state of a member changed.
    func updateShared(_ group: UInt32, _ change: (inout ShareGroup) -> Void) {
        write {
            if let group = groups[group] { change(&group.pointee) }
        }
    }

    func updateShared(serial: UInt32, _ change: (inout ShareGroup) -> Void) {
        write {
            if let group = groups[groups.number(ofSerial: serial)] { change(&group.pointee) }
        }
    }

    /// Asks a group; nil when it is gone.
    @inline(__always)
    func ask<R>(_ group: UInt32, shard: Int, _ body: (ShareGroupRef) -> R) -> R? {
        read(shard) { _, _ in
            guard let group = groups[group] else { return nil }
            return body(group)
        }
    }

    /// Asks a group a message went through; nil when it is gone.
    func ask<R>(serial: UInt32, shard: Int, _ body: (ShareGroupRef) -> R) -> R? {
        read(shard) { _, _ in
            guard let group = groups[groups.number(ofSerial: serial)] else { return nil }
            return body(group)
        }
    }
}
