// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// bin/martlet in an install tree whose broker and martlet_ctl are a few lines of shell.
@Suite struct LauncherTests {
    @Test func startAndStop() throws {
        let tree = try InstallTree()
        #expect(
            try tree.martlet("start") == Run(output: "martlet 9.9.9 is started successfully!\n", error: "", status: 0))
        #expect(try tree.martlet("ping") == Run(output: "pong\n", error: "", status: 0))
        let pid = try tree.text("data/martlet.pid").trimmingCharacters(in: .newlines)
        let second = try tree.martlet("start")
        #expect(second == Run(output: "", error: "Node 'a@b' is already running (pid \(pid)).\n", status: 1))
        #expect(try tree.martlet("stop") == Run(output: "ok\n", error: "", status: 0))
        #expect(!tree.has("data/ready"), "stop came back before the broker had ended")
        #expect(!tree.has("data/martlet.pid"))
        #expect(try tree.martlet("ping").status == 1)
        #expect(try tree.martlet("stop") == Run(output: "", error: "Node 'a@b' is not running.\n", status: 1))
    }

    @Test func restartGivesANewProcess() throws {
        let tree = try InstallTree()
        #expect(try tree.martlet("restart").output == "martlet 9.9.9 is started successfully!\n")
        let first = try tree.text("data/martlet.pid")
        #expect(try tree.martlet("restart").output == "ok\nmartlet 9.9.9 is started successfully!\n")
        #expect(try tree.text("data/martlet.pid") != first)
    }

    @Test func aBrokerThatEndsAtOnceIsExplainedByItsLastLines() throws {
        let tree = try InstallTree()
        try tree.write("etc/broken", "")
        let run = try tree.martlet("start")
        #expect(
            run
                == Run(
                    output: "",
                    error: """
                        etc/martlet.conf:3: mqtt.foo: unknown key
                        Node 'a@b' did not start: the broker ended with status 3.

                        """, status: 1))
        #expect(!tree.has("data/martlet.pid"))
    }

    @Test func aBrokerThatNeverAnswersIsReported() throws {
        let tree = try InstallTree()
        try tree.write("etc/mute", "")
        let run = try tree.martlet("start", ["MARTLET_START_TIMEOUT": "0"])
        #expect(run.error.hasPrefix("mute\nNode 'a@b' runs (pid "))
        #expect(run.error.hasSuffix(") but did not answer within 0 s.\n"))
        #expect(run.status == 1)
    }

    @Test func aPidOfSomebodyElseIsNotTheBroker() throws {
        let tree = try InstallTree()
        try tree.write("data/martlet.pid", "\(getpid())\n")
        #expect(try tree.martlet("stop").error == "Node 'a@b' is not running.\n")
        #expect(try tree.martlet("start").status == 0)
    }

    @Test func inTheBackgroundTheLogGoesToTheFileUnlessItIsOff() throws {
        let tree = try InstallTree()
        #expect(try tree.martlet("start").status == 0)
        #expect(try tree.text("log/start.log") == "log.to=file\n")
        #expect(try tree.martlet("stop").status == 0)
        try tree.write("etc/martlet.conf", "log.to = off\n")
        #expect(try tree.martlet("start").status == 0)
        #expect(try tree.text("log/start.log") == "log.to=\n")
    }

    @Test func consoleRunsTheBrokerInPlaceOfTheScript() throws {
        let tree = try InstallTree()
        try tree.write("etc/broken", "")
        let run = try tree.martlet("console")
        #expect(run == Run(output: "", error: "etc/martlet.conf:3: mqtt.foo: unknown key\n", status: 3))
    }

    @Test func certificatesAreMadeWhereAListenerNeedsThemAndNoneIsThere() throws {
        let tree = try InstallTree()
        func started(_ conf: String) throws -> Bool {
            try tree.write("etc/martlet.conf", conf)
            try tree.write("etc/asked", "")
            #expect(try tree.martlet("start").status == 0)
            #expect(try tree.martlet("stop").status == 0)
            return try tree.text("etc/asked") != ""
        }
        #expect(try started("listener.tcp.a = 1\n## listener.ssl.a = 2\n") == false)
        #expect(try started("listener.wss.a = 2\n"))
        // Made by the first of these.
        #expect(tree.has("etc/certs/cert.pem"))
        #expect(try started("listener.ssl.a = 2\n") == false)
    }

    @Test func aTreeWithoutAWayToMakeCertificatesStartsAllTheSame() throws {
        let tree = try InstallTree()
        try tree.write("etc/martlet.conf", "listener.ssl.a = 2\n")
        try tree.write("etc/no-certs", "")
        let run = try tree.martlet("start")
        #expect(run.status == 0)
        #expect(run.error == "note: no certificate was made for the TLS listeners.\n")
    }

    @Test func versionAndUsage() throws {
        let tree = try InstallTree()
        #expect(try tree.martlet("version") == Run(output: "martlet 9.9.9\n", error: "", status: 0))
        for word in ["", "sing"] {
            let run = try tree.martlet(word)
            #expect(run.error.hasPrefix("Usage: martlet COMMAND\n"))
            #expect(run.status == 1)
        }
    }
}

/// `bin/martlet` behind a symbolic link, in a folder whose name has a blank.
private final class InstallTree {
    private let folder = "/tmp/martlet launcher \(UUID().uuidString.prefix(8))"
    private var root: String { folder + "/tree" }

    init() throws {
        for part in ["bin", "etc", "data"] {
            try FileManager.default.createDirectory(atPath: root + "/" + part, withIntermediateDirectories: true)
        }
        let tools = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "tools")
        #expect(try execute("/bin/cp", [tools.path + "/martlet.sh", root + "/bin/martlet"]).status == 0)
        try FileManager.default.createSymbolicLink(atPath: folder + "/m", withDestinationPath: "tree/bin/martlet")
        try write("etc/martlet.conf", "# comment\r\nnode.name = \"a@b\"  # mine\r\n")
        try writeProgram("bin/martlet-broker", fakeBroker)
        try writeProgram("bin/martlet_ctl", fakeCtl)
        try writeProgram("bin/make-certs", fakeCerts)
    }

    func martlet(_ command: String, _ environment: [String: String] = [:]) throws -> Run {
        try execute(folder + "/m", command.isEmpty ? [] : [command], environment: environment)
    }

    /// Written by a process of its own: a descriptor of ours, open for writing, could be copied into a program that
    /// another test starts at that moment, and then this one would be refused as "text file busy".
    private func writeProgram(_ path: String, _ text: String) throws {
        let script = #"printf %s "$2" >"$1" && chmod 755 "$1""#
        #expect(try execute("/bin/sh", ["-c", script, "sh", root + "/" + path, text]).status == 0)
    }

    func write(_ path: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: root + "/" + path))
    }
    func text(_ path: String) throws -> String { try String(contentsOfFile: root + "/" + path, encoding: .utf8) }
    func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }

    deinit {
        if let pid = (try? text("data/martlet.pid")).flatMap({ Int32($0.trimmingCharacters(in: .newlines)) }),
            pid != getpid()
        {
            kill(pid, SIGTERM)
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}

private let fakeBroker = #"""
    #!/bin/sh
    root=$(dirname "$(dirname "$0")")
    [ "${1:-}" = --version ] && echo "martlet 9.9.9" && exit 0
    [ -e "$root/etc/broken" ] && echo "etc/martlet.conf:3: mqtt.foo: unknown key" >&2 && exit 3
    tail -f /dev/null &
    child=$!
    trap 'rm -f "$root/data/ready"; kill "$child"; exit 0' TERM
    if [ -e "$root/etc/mute" ]; then echo mute; : >"$root/data/said"; wait; fi
    echo "log.to=${MARTLET_LOG_TO:-}"
    : >"$root/data/ready"
    wait

    """#

private let fakeCerts = #"""
    #!/bin/sh
    root=$(dirname "$(dirname "$0")")
    [ ! -e "$root/etc/no-certs" ] || exit 1
    echo "$1" >"$root/etc/asked"
    mkdir -p "$1" && : >"$1/cert.pem"

    """#

private let fakeCtl = #"""
    #!/bin/sh
    root=$(dirname "$(dirname "$0")")
    [ -e "$root/data/ready" ] && [ "$1" = ping ] && echo pong && exit 0
    # Whoever gives up on a mute broker has its words in the log.
    [ -e "$root/etc/mute" ] && [ -s "$root/data/martlet.pid" ] && until [ -e "$root/data/said" ]; do :; done
    echo "not responding" >&2
    exit 1

    """#
