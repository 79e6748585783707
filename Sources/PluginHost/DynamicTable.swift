// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CPluginHost
import Synchronization

/// A text such as `i(sl)`, prepared for libffi.
final class DynamicSignature: @unchecked Sendable {
    let text: String
    let count: Int
    let raw: OpaquePointer

    /// nil when the text is no signature.
    init?(_ text: String) {
        let letters = Array(text.utf8)
        guard letters.count >= 3, letters[1] == UInt8(ascii: "("), letters.last == UInt8(ascii: ")") else { return nil }
        count = letters.count - 3
        let arguments = letters[2..<letters.count - 1].map { CChar(bitPattern: $0) } + [0]
        guard let raw = cph_signature_make(CChar(bitPattern: letters[0]), arguments, arguments.count - 1) else {
            return nil
        }
        self.raw = raw
        self.text = text
    }

    deinit { cph_signature_free(raw) }
}

/// Functions and hook points that plugins find by name. Calls come from any thread; an item counts the calls inside
/// it, so that its plugin is not unmapped under them.
final class DynamicTable: Sendable {
    enum Kind { case function, point, joiner }

    final class Item: @unchecked Sendable {
        let kind: Kind
        let name: String
        let signature: DynamicSignature
        let function: (@convention(c) () -> Void)?
        let user: UnsafeMutableRawPointer?
        let priority: Int32
        let owner: UInt32
        let plugin: String
        let inFlight = Atomic<Int>(0)

        init(
            _ kind: Kind, _ name: String, _ signature: DynamicSignature, _ function: (@convention(c) () -> Void)?,
            _ user: UnsafeMutableRawPointer?, priority: Int32 = 0, of instance: PluginInstance
        ) {
            self.kind = kind
            self.name = name
            self.signature = signature
            self.function = function
            self.user = user
            self.priority = priority
            owner = instance.owner
            plugin = instance.name
        }
    }

    private struct State {
        var functions: [String: Item] = [:]
        var points: [String: Item] = [:]
        /// By name, highest priority first.
        var joiners: [String: [Item]] = [:]
    }

    private let state = Mutex(State())
    /// After a call that may have been the last one an unload waits for.
    private let finished: @Sendable () -> Void

    init(finished: @escaping @Sendable () -> Void) { self.finished = finished }

    /// Who holds a name.
    func holder(_ kind: Kind, _ name: String) -> Item? {
        state.withLock { kind == .function ? $0.functions[name] : kind == .point ? $0.points[name] : nil }
    }

    /// Who joined a hook point, which need not be defined.
    func joiners(_ name: String) -> [Item] { state.withLock { $0.joiners[name] ?? [] } }

    func publish(_ item: Item) {
        state.withLock { state in
            switch item.kind {
            case .function: state.functions[item.name] = item
            case .point: state.points[item.name] = item
            case .joiner:
                let joined = state.joiners[item.name, default: []] + [item]
                state.joiners[item.name] = joined.sorted { $0.priority > $1.priority }
            }
        }
    }

    func remove(_ item: Item) {
        state.withLock { state in
            switch item.kind {
            case .function: if state.functions[item.name] === item { state.functions[item.name] = nil }
            case .point: if state.points[item.name] === item { state.points[item.name] = nil }
            case .joiner:
                state.joiners[item.name]?.removeAll { $0 === item }
                if state.joiners[item.name]?.isEmpty == true { state.joiners[item.name] = nil }
            }
        }
    }

    /// [any]
    func call(
        _ name: String, _ signature: String, _ arguments: UnsafePointer<martlet_value>?, _ count: Int,
        _ result: UnsafeMutablePointer<martlet_value>?
    ) -> martlet_status {
        let found: Item? = state.withLock { state in
            guard let item = state.functions[name] else { return nil }
            item.inFlight.add(1, ordering: .sequentiallyConsistent)
            return item
        }
        guard let item = found else { return statusNotFound }
        defer { leave(item) }
        guard item.signature.text == signature, count == item.signature.count, arguments != nil || count == 0 else {
            return statusInvalid
        }
        cph_call(item.signature.raw, item.function!, item.user, arguments, result)
        return statusOK
    }

    /// [any] How many ran, or an error.
    func run(_ name: String, _ arguments: UnsafePointer<martlet_value>?, _ count: Int) -> martlet_status {
        let found: (Item, [Item])? = state.withLock { state in
            guard let point = state.points[name] else { return nil }
            let joined = (state.joiners[name] ?? []).filter { $0.signature.text == point.signature.text }
            for item in joined { item.inFlight.add(1, ordering: .sequentiallyConsistent) }
            return (point, joined)
        }
        guard let (point, joined) = found else { return statusNotFound }
        defer { for item in joined { leave(item) } }
        guard count == point.signature.count, arguments != nil || count == 0 else { return statusInvalid }
        var ran: martlet_status = 0
        for item in joined {
            var verdict = martlet_value()
            cph_call(item.signature.raw, item.function!, item.user, arguments, &verdict)
            ran += 1
            if verdict.i == Int32(MARTLET_STOP) { break }
        }
        return ran
    }

    /// Functions and hook points for a listing: name, signature, plugin.
    func list() -> [(kind: Kind, name: String, signature: String, plugin: String)] {
        state.withLock { state in
            (Array(state.functions.values) + Array(state.points.values) + state.joiners.values.joined())
                .map { ($0.kind, $0.name, $0.signature.text, $0.plugin) }
        }
        .sorted { $0.1 < $1.1 }
    }

    private func leave(_ item: Item) {
        item.inFlight.subtract(1, ordering: .sequentiallyConsistent)
        finished()
    }
}
