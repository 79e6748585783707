// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// The contract itself: every header compiles alone, everywhere, and the layout of its structs does not move.
@Suite struct HeaderTests {
    static let compilers = [
        ["gcc", "-std=c11", "-x", "c"], ["clang", "-std=c11", "-x", "c"], ["g++", "-std=c++17", "-x", "c++"],
    ]

    @Test(arguments: compilers) func everyHeaderCompilesAlone(_ compiler: [String]) {
        let headers = names(in: includeFolder + "/martlet").filter { !["begin.h", "end.h"].contains($0) }
        #expect(headers.count >= 13)
        let folder = scratchFolder()
        defer { removeTree(folder) }
        for header in headers {
            writeFile(folder + "/one", Array("#include <martlet/\(header)>\n#include <martlet/\(header)>\n".utf8))
            let (status, output) = run(
                compiler + [
                    "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", includeFolder, folder + "/one",
                ])
            #expect(status == 0, "\(header) with \(compiler[0]): \(output)")
        }
    }

    /// A difference is a review event: only new structs, and new members at the end of old ones, may appear.
    @Test func theLayoutIsTheCommittedOne() {
        let folder = scratchFolder()
        defer { removeTree(folder) }
        let built = run(["gcc", "-std=c11", "-I", includeFolder, abiFolder + "/layout.c", "-o", folder + "/layout"])
        #expect(built.status == 0, "\(built.output)")
        let layout = run([folder + "/layout"]).output
        #expect(
            layout == String(decoding: readFile(layoutFile), as: UTF8.self), "regenerate layout.txt only on purpose")
    }

    /// layout.c cannot forget a struct: each one the headers define is in its output.
    @Test func everyStructIsInTheLayout() {
        let layout = String(decoding: readFile(layoutFile), as: UTF8.self)
        let known = Set(
            layout.split(separator: "\n").filter { !$0.hasPrefix(" ") }.map { String($0.prefix { $0 != " " }) })
        for header in names(in: includeFolder + "/martlet") {
            let text = String(decoding: readFile(includeFolder + "/martlet/" + header), as: UTF8.self)
            for line in text.split(separator: "\n") where line.hasPrefix("typedef struct ") && line.contains("{") {
                let name = line.split(separator: " ")[2]
                #expect(known.contains(String(name)), "\(name) of \(header)")
            }
        }
    }

    private func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".h") { names.append(name) }
        }
        return names.sorted()
    }
}
