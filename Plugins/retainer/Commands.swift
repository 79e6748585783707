// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// `martlet_ctl retainer ...`, all on the control thread. Long lists hold the store's lock a slice at a time.
extension Retainer {
    func addCommand(_ store: Store) throws(PluginError) {
        try host.ctl.command(
            "retainer",
            usage: [
                ("retainer info", "Show the count of retained messages"),
                ("retainer topics [FILTER]", "Show the topics of retained messages"),
                ("retainer clean [FILTER]", "Clean all retained messages, or those that match"),
            ]
        ) { [self] (args, out) throws(PluginError) in
            guard args.count >= 2, args.count <= 3 else { throw .usage }
            if args[1] == "info", args.count == 2 {
                out.line("retained/total: \(store.counts().live)")
            } else if args[1] == "topics" {
                try withCursor(args[2], args.count == 3) { list(store, &$0, out) }
            } else if args[1] == "clean" {
                var cleaned = 0
                try withCursor(args[2], args.count == 3) { cleaned = clean(store, &$0) }
                out.line("Cleaned \(cleaned) retained messages")
            } else {
                throw .usage
            }
        }
    }

    private func withCursor(_ filter: Bytes, _ given: Bool, _ body: (inout Cursor) -> Void) throws(PluginError) {
        var cursor: Cursor? = given ? nil : Cursor()
        if given {
            TopicKey.with(filter.raw) { key in
                if TopicKey.isFilter(key) { cursor = Cursor(filter: key) }
            }
        }
        guard var cursor else { throw PluginError(.invalid, "\(String(filter)) is not a topic filter.") }
        body(&cursor)
        cursor.free()
    }

    private func clean(_ store: Store, _ cursor: inout Cursor) -> Int {
        var cleaned = 0
        while !cursor.isFinished { cleaned += store.removeSlice(&cursor) }
        numbers?.show(store)
        return cleaned
    }

    private func list(_ store: Store, _ cursor: inout Cursor, _ out: borrowing Output) {
        var lines = ByteBuffer()
        while !cursor.isFinished {
            lines.removeAll()
            store.appendTopics(to: &lines, from: &cursor, now: Clock.unix)
            out.print(Bytes(martlet_bytes(lines.bytes)))
        }
        lines.free()
    }
}
