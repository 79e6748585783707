// SPDX-License-Identifier: Apache-2.0

/// A thing under test beside the simple model that says what it should do.
///
/// A command must mean something in every state ("the third message in flight, if there is one"), so that a schedule
/// from which commands were taken out is still a schedule: that is what makes shrinking possible.
public protocol Machine: AnyObject {
    associatedtype Command

    /// A fresh thing and a fresh model. What the dice choose here (limits, sizes) stays the same while shrinking.
    init(_ dice: inout Dice)

    /// What the dice chose in `init`, for the report of a failure.
    var setting: String { get }

    static func command(_ dice: inout Dice) -> Command

    /// Does the command to both and compares them: nil, or what differs, in one sentence.
    func run(_ command: Command) -> String?

    /// After the last command: what must hold once everything has been taken out or taken apart.
    func finish() -> String?
}

extension Machine {
    public var setting: String { "" }
    public func finish() -> String? { nil }
}

/// The shortest schedule found on which thing and model differ.
public struct Failure: CustomStringConvertible {
    public let seed: UInt64
    public let setting: String
    public let schedule: [String]
    public let difference: String
    /// Commands before they were taken out.
    public let length: Int

    public var description: String {
        let steps = schedule.enumerated().map { "  \($0 + 1). \($1)" }.joined(separator: "\n")
        return "seed \(seed)\(setting.isEmpty ? "" : ", \(setting)"): \(difference)\n"
            + "\(schedule.count) of \(length) commands are enough:\n\(steps)"
    }
}

/// Runs one random schedule for each seed. Nil when thing and model never differ; else the first failure, shrunk.
public func firstFailure<M: Machine>(
    _ machine: M.Type, seeds: Range<UInt64>, commands: Int
) -> Failure? {
    for seed in seeds {
        var dice = Dice(seed)
        let start = dice
        _ = M(&dice)
        let schedule = (0..<commands).map { _ in M.command(&dice) }
        guard let first = difference(M.self, start, schedule) else { continue }
        let shortest = shrink(M.self, start, Array(schedule.prefix(first.at)))
        let last = difference(M.self, start, shortest) ?? first
        var again = start
        return Failure(
            seed: seed, setting: M(&again).setting, schedule: shortest.map { "\($0)" }, difference: last.what,
            length: commands)
    }
    return nil
}

/// Where a schedule fails, as the number of commands it took, and how.
private func difference<M: Machine>(
    _: M.Type, _ start: Dice, _ schedule: [M.Command]
) -> (at: Int, what: String)? {
    var dice = start
    let machine = M(&dice)
    for (index, command) in schedule.enumerated() {
        if let what = machine.run(command) { return (index + 1, what) }
    }
    return machine.finish().map { (schedule.count, $0) }
}

/// Takes out runs of commands, long runs first, as long as what is left still fails.
private func shrink<M: Machine>(_: M.Type, _ start: Dice, _ schedule: [M.Command]) -> [M.Command] {
    var shortest = schedule
    var run = max(1, schedule.count / 2)
    while true {
        var isShorter = false
        var from = 0
        while from < shortest.count {
            var without = shortest
            without.removeSubrange(from..<min(from + run, shortest.count))
            if let failed = difference(M.self, start, without) {
                shortest = Array(without.prefix(failed.at))
                isShorter = true
            } else {
                from += run
            }
        }
        if run == 1 && !isShorter { return shortest }
        if run > 1 { run /= 2 }
    }
}
