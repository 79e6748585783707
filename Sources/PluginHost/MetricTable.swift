// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor

/// Numbers that plugins define and the operator reads. `add` and `set` are lock-free: a cell's address never changes
/// and a token carries the generation of the cell it was given for.
final class MetricTable: @unchecked Sendable {
    typealias Index = UInt32

    private struct Cell {
        /// Odd while in use.
        var generation: UInt32 = 0
        var value: Int64 = 0
    }

    /// What the control thread knows of a cell in use.
    private struct Definition {
        var name: String
        var help: String
        var kind: MetricKind
        unowned var owner: PluginInstance
    }

    static let capacity = 4096
    private let cells: UnsafeMutablePointer<Cell>
    private var definitions: [Index: Definition] = [:]
    private var byName: [String: Index] = [:]
    private var free: [Index] = []
    private var used: Index = 0

    init() {
        cells = .allocate(capacity: Self.capacity)
        cells.initialize(repeating: Cell(), count: Self.capacity)
    }

    deinit { cells.deallocate() }

    /// [main] A new cell; during a reload, the predecessor's of that name, so that a counter goes on where it was.
    func define(
        _ name: String, _ help: String, _ kind: MetricKind, for owner: PluginInstance
    ) throws(RegistrationError) -> martlet_token {
        if let index = byName[name], let definition = definitions[index] {
            guard definition.owner === owner.predecessor, definition.kind == kind else {
                throw RegistrationError(
                    statusExists, "the metric \(name) is defined already by \(definition.owner.name)")
            }
            definitions[index]?.owner = owner
            owner.metrics.append(index)
            return token(index)
        }
        guard let index = free.popLast() ?? nextFresh() else {
            throw RegistrationError(statusNoMemory, "there are \(Self.capacity) metrics already")
        }
        cr_store_i64(&cells[Int(index)].value, 0)
        cr_store_u32(&cells[Int(index)].generation, cells[Int(index)].generation &+ 1)
        definitions[index] = Definition(name: name, help: help, kind: kind, owner: owner)
        byName[name] = index
        owner.metrics.append(index)
        return token(index)
    }

    /// [main] Ends a plugin's metrics, except those its successor has taken over. A start that failed hands those it
    /// took over back.
    func release(_ owner: PluginInstance) {
        for index in owner.metrics where definitions[index]?.owner === owner {
            if let earlier = owner.predecessor, earlier.metrics.contains(index) {
                definitions[index]?.owner = earlier
                continue
            }
            cr_store_u32(&cells[Int(index)].generation, cells[Int(index)].generation &+ 1)
            if let definition = definitions.removeValue(forKey: index) { byName[definition.name] = nil }
            free.append(index)
        }
        owner.metrics = []
    }

    /// [any] False when the token is stale.
    func add(_ token: martlet_token, _ delta: Int64) -> Bool {
        guard let cell = cell(token) else { return false }
        _ = cr_add_relaxed_i64(&cell.pointee.value, delta)
        return true
    }

    /// [any] False when the token is stale.
    func set(_ token: martlet_token, _ value: Int64) -> Bool {
        guard let cell = cell(token) else { return false }
        cr_store_relaxed_i64(&cell.pointee.value, value)
        return true
    }

    /// [main] Those of plugins that run, by name.
    func list() -> [Metric] {
        definitions.filter { $0.value.owner.phase != .starting || $0.value.owner.predecessor != nil }
            .map { index, definition in
                Metric(
                    name: definition.name, kind: definition.kind, help: definition.help,
                    value: cr_load_relaxed_i64(&cells[Int(index)].value), plugin: definition.owner.name)
            }
            .sorted { $0.name < $1.name }
    }

    private func nextFresh() -> Index? {
        guard used < Self.capacity else { return nil }
        used += 1
        return used - 1
    }

    private func token(_ index: Index) -> martlet_token {
        UInt64(cells[Int(index)].generation) << 32 | UInt64(index)
    }

    private func cell(_ token: martlet_token) -> UnsafeMutablePointer<Cell>? {
        let index = Int(token & 0xFFFF_FFFF)
        guard index < Self.capacity else { return nil }
        let cell = cells + index
        let generation = cr_load_relaxed_u32(&cell.pointee.generation)
        return generation & 1 == 1 && UInt64(generation) == token >> 32 ? cell : nil
    }
}

public enum MetricKind: Sendable {
    /// Only rises: `broker metrics`.
    case counter
    /// `broker stats`.
    case gauge
}

/// One number for `broker stats`, `broker metrics` and $SYS.
public struct Metric: Sendable, Equatable {
    public var name: String
    public var kind: MetricKind
    public var help: String
    public var value: Int64
    /// Empty: the broker's own.
    public var plugin: String

    public init(name: String, kind: MetricKind, help: String, value: Int64, plugin: String = "") {
        self.name = name
        self.kind = kind
        self.help = help
        self.value = value
        self.plugin = plugin
    }
}

/// Why a registration was not made; becomes the status and the plugin's error sentence.
struct RegistrationError: Error {
    let status: martlet_status
    let text: String
    /// The text says where it happened; otherwise the function's name is put before it.
    let isComplete: Bool
    init(_ status: martlet_status, _ text: String, isComplete: Bool = false) {
        self.status = status
        self.text = text
        self.isComplete = isComplete
    }
}
