// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Config

@Suite struct GeneratedFilesTests {
    @Test(arguments: CoreFiles.all.map(\.path))
    func theCommittedFileIsWhatTheDeclarationsSay(_ path: String) throws {
        let committed = try String(contentsOf: sourceTree.appending(path: path), encoding: .utf8)
        let expected = try #require(CoreFiles.all.first { $0.path == path }).text
        #expect(
            committed == expected,
            "\(path) and the declarations differ: run tools/generate-config and commit the result")
    }

    @Test func theShippedFileLoadsAndChangesNoDefault() throws {
        let load = ConfigFile.check(Array(CoreFiles.conf.text.utf8), path: "martlet.conf", schema: CoreKeys.schema)
        let values = try #require(load.values)
        #expect(load.diagnostics == [])
        #expect(values.names(matching: "listener.tcp.*") == ["external"])
        let changes = values.changes(since: .defaults(CoreKeys.schema)).map(\.key)
        let mqtt = ["tcp", "ssl", "ws", "wss"].map { "listener.\($0).external" }
        #expect(changes == mqtt + ["listener.api.management"])
    }

    @Test func everyCommentedLineWouldLoadToo() throws {
        let lines = CoreFiles.conf.text.split(separator: "\n").map { line in
            line.hasPrefix("## ") && line.contains(" =") && !line.contains(". ") ? line.dropFirst(3) : line
        }
        let text = lines.joined(separator: "\n").replacing(" One key = value a line.", with: "")
        let load = ConfigFile.check(Array(text.utf8), path: "martlet.conf", schema: CoreKeys.schema)
        #expect(load.diagnostics.map(\.description) == [])
        let declared = CoreKeys.all.filter { $0.noEffect == nil }.count
        #expect(load.values?.each(prefix: "").count == declared)
    }

    @Test func aPluginsFileIsRenderedFromItsKeys() {
        let keys = [
            ConfigKey("retainer.max", .count, default: "0", section: "retainer", help: "How many."),
            ConfigKey("retainer.note", .string, section: "retainer", sample: .init(value: " x\"y"), help: "A note."),
        ]
        let text = renderConf(keys, title: "The retainer.")
        #expect(text.hasPrefix("## The retainer.\n"))
        #expect(text.contains("\n## How many.\n## Value: 0..\n## retainer.max = 0\n"))
        #expect(text.contains("\n## retainer.note = \" x\\\"y\"\n"))
    }
}
