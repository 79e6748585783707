// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// Every refusal is one sentence that names the file or the plugin and says what to do; nothing has changed after.
    @Suite(.serialized) struct Refusals {
        private func refusal(_ rig: Rig, _ name: String) -> String {
            let error = rig.load(name)
            #expect(rig.running == [])
            #expect(mappings(of: rig.root) == 0)
            #expect(rig.read("data/loaded_plugins") == "")
            return error?.sentence.split(separator: rig.plugins, omittingEmptySubsequences: false).joined(
                separator: "DIR") ?? "it was loaded"
        }

        @Test(arguments: [
            ("SIZE=8", "DIR/broken.so describes itself in 8 bytes where at least 64 are due"),
            ("MAJOR=7", "DIR/broken.so was built for plugin ABI 7, this broker speaks ABI 1; build it against"),
            ("OTHER_ID=\"other\"", "DIR/broken.so holds the plugin other, not broken; name the file other.so."),
            ("NO_ENTRY", "DIR/broken.so is a library but no Martlet plugin: it does not export martlet_plugin_entry."),
            ("NULL_ENTRY", "DIR/broken.so gives no plugin entry (martlet_plugin_entry returned NULL)."),
            ("NO_CREATE", "the entry of DIR/broken.so has no create function."),
            ("NO_STOP", "DIR/broken.so made a plugin without a stop function."),
            ("CREATE_FAILS", "broken was not loaded: the licence server does not answer."),
            (
                "CREATE_MUTE",
                "broken was not loaded: its create answered \"out of memory or over a limit\" without a reason."
            ),
            ("UNDEFINED", "DIR/broken.so uses the function a_function_that_exists_nowhere, which neither it nor"),
        ]) func entries(_ define: String, _ sentence: String) {
            let rig = Rig()
            defer { rig.close() }
            rig.add("broken", as: "broken", define)
            let refused = refusal(rig, "broken")
            #expect(refused.hasPrefix(sentence), "\(refused)")
        }

        @Test func whatCreateHasMadeIsDestroyed() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "base", "NO_START")
            #expect(refusal(rig, "base") == "DIR/base.so made a plugin without a start function.")
            #expect(rig.logLines.contains { $0.hasSuffix("destroy 1.0.0") }, "\(rig.logLines)")
        }

        @Test func aMissingNeedIsNamed() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "base", "NEEDS=\"martlet.log/1\",\"martlet.teleport/3\"")
            #expect(
                refusal(rig, "base")
                    == "base needs martlet.teleport/3, which Martlet 0.1.0 and the plugins now loaded do not offer.")
        }

        @Test func aMisspeltNameGetsAHint() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "retainer")
            #expect(
                refusal(rig, "emqx_retianer")
                    == "there is no plugin retianer (not_found): no retianer.so in DIR. Did you mean retainer?")
            #expect(refusal(rig, "../../etc/passwd").contains("cannot be a plugin's name"))
            #expect(rig.unload("retainer")?.sentence == "retainer is not loaded (not_started).")
            #expect(rig.unload("nothing_like_it")?.kind == .notFound)
        }

        @Test func filesThatOthersMayWrite() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            chmod(rig.plugins + "/base.so", 0o775)
            #expect(
                refusal(rig, "base")
                    == "DIR/base.so may be written by others than its owner; run: chmod go-w DIR/base.so")
            chmod(rig.plugins + "/base.so", 0o755)
            chmod(rig.plugins, 0o777)
            #expect(refusal(rig, "base").hasPrefix("the folder DIR may be written by everybody"))
            chmod(rig.plugins, 0o755)
            if geteuid() == 0 {
                chown(rig.plugins + "/base.so", 12345, 12345)
                #expect(refusal(rig, "base").hasPrefix("DIR/base.so belongs to user 12345; it must belong to root"))
            }
        }

        @Test func filesThatAreNoFiles() {
            let rig = Rig()
            defer { rig.close() }
            mkdir(rig.plugins + "/folder.so", 0o755)
            #expect(refusal(rig, "folder") == "DIR/folder.so is not a regular file.")
            symlink("/bin/true", rig.plugins + "/link.so")
            #expect(refusal(rig, "link") == "DIR/link.so is a symbolic link; put the file itself there.")
            mkfifo(rig.plugins + "/pipe.so", 0o644)
            #expect(refusal(rig, "pipe") == "DIR/pipe.so is not a regular file.")
        }

        @Test func filesThatAreNoLibraries() {
            let rig = Rig()
            defer { rig.close() }
            rig.write("#!/bin/sh\necho no\n", to: "plugins/script.so")
            #expect(
                refusal(rig, "script")
                    == "DIR/script.so is not a shared library (it does not begin as an ELF file does).")
            rig.write("", to: "plugins/empty.so")
            #expect(refusal(rig, "empty").contains("is not a shared library"))
            #expect(
                run(["gcc", "-c", "-I", includeFolder, abiFolder + "/base.c", "-o", rig.plugins + "/object.so"]).status
                    == 0)
            #expect(
                refusal(rig, "object")
                    == "DIR/object.so is not a shared library (an object file); link it with -shared.")
        }

        @Test func otherMachines() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            var image = readFile(rig.plugins + "/base.so")
            image[18] = 0xF3
            writeFile(rig.plugins + "/riscv.so", image)
            #expect(refusal(rig, "riscv").hasPrefix("DIR/riscv.so was built for RISC-V, this broker runs on "))
            image[4] = 1
            writeFile(rig.plugins + "/small.so", image)
            #expect(refusal(rig, "small").hasPrefix("DIR/small.so is a 32-bit library; this broker needs a 64-bit"))
        }

        /// Offsets and sizes that no file has, one after the other: `plugins list` looks into each file there is.
        @Test func filesWithDamagedHeads() throws {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            let image = readFile(rig.plugins + "/base.so")
            let table = Int(image[32]) | Int(image[33]) << 8
            let count = Int(image[56])
            #expect(table == 64 && count > 3 && image.count > table + 56 * count)
            let fields = [32] + (0..<count).flatMap { entry in [8, 16, 32].map { table + 56 * entry + $0 } }
            let values: [UInt64] = [1 << 63, .max, .max - 7, 1 << 63 - 1, 1 << 62, 0]
            for field in fields {
                for value in values {
                    var damaged = image
                    withUnsafeBytes(of: value) { damaged.replaceSubrange(field..<field + 8, with: $0) }
                    writeFile(rig.plugins + "/damaged.so", damaged)
                    let file = try PluginFile.open("damaged", in: [rig.plugins])
                    #expect(file.neededLibraries().allSatisfy { $0.utf8.count <= 768 }, "\(value) at \(field)")
                }
            }
        }

        @Test func filesThatAreCutShort() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            let image = readFile(rig.plugins + "/base.so")
            for size in [5, 40, 64, 100, 1000, 5000, 9000, image.count / 2] {
                writeFile(rig.plugins + "/cut.so", Array(image.prefix(size)))
                #expect(refusal(rig, "cut").hasPrefix("DIR/cut.so"), "\(size) of \(image.count) bytes")
            }
        }

        /// Somebody copies a new version over it at this very moment.
        @Test func aFileThatShrinksBetweenCheckAndCopy() throws {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            let file = try PluginFile.open("base", in: [rig.plugins])
            try file.checkFormat()
            truncate(rig.plugins + "/base.so", 4096)
            let folder = rig.main { rig.host.folder }
            #expect(throws: PluginError.self) { try file.privateCopy(in: folder) }
            #expect(run(["sh", "-c", "test -z \"$(ls \(folder.path))\""]).status == 0, "no part of a copy is left")
        }

        @Test func aLibraryThatIsMissing() {
            let rig = Rig()
            defer { rig.close() }
            writeFile(rig.root + "/dep.c", Array("int dep(void) { return 1; }".utf8))
            let library = rig.root + "/libmissing_dep.so.4"
            #expect(
                run(["gcc", "-shared", "-fPIC", rig.root + "/dep.c", "-Wl,-soname,libmissing_dep.so.4", "-o", library])
                    .status == 0)
            let built = run([
                "gcc", "-shared", "-fPIC", "-DID=\"base\"", "-I", includeFolder, abiFolder + "/base.c",
                "-Wl,--no-as-needed", library, "-o", rig.plugins + "/base.so",
            ])
            #expect(built.status == 0, "\(built.output)")
            chmod(rig.plugins + "/base.so", 0o755)
            #expect(
                refusal(rig, "base")
                    == "DIR/base.so needs the library libmissing_dep.so.4, which is not installed on this machine.")
        }
    }
}
