// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

private let here = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/")!))
let abiFolder = here + "/../PluginABI"
let includeFolder = here + "/../../Sources/CMartlet/include"
let layoutFile = here + "/layout.txt"

/// Runs a program; its exit status and what it wrote to both outputs.
func run(_ arguments: [String]) -> (status: Int32, output: String) {
    var pipes: [Int32] = [0, 0]
    pipe(&pipes)
    for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 2)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in argv { free(argument) } }
    var pid = pid_t()
    let code = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, environ)
    close(pipes[1])
    defer { close(pipes[0]) }
    guard code == 0 else { return (127, "\(arguments[0]): \(String(cString: strerror(code)))") }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = read(pipes[0], &chunk, chunk.count)
        if count <= 0 { break }
        output += chunk[..<count]
    }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return (status >> 8 & 0xFF, String(decoding: output, as: UTF8.self))
}

/// Compiled plugins by their command line: the same one serves many tests.
private let cache = Mutex<[String: [UInt8]]>([:])

/// Builds a plugin as a third party would: gcc, the headers, nothing else.
func compile(_ source: String, to path: String, id: String, _ defines: [String]) {
    let key = ([source, id] + defines).joined(separator: "\u{0}")
    if let known = cache.withLock({ $0[key] }) { return install(known, path) }
    let scratch = path + ".tmp"
    let command =
        [
            "gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Wno-unused-function", "-fPIC",
            "-shared",
        ]
        + ["-fvisibility=hidden", "-pthread", "-I", includeFolder, "-DID=\"\(id)\""] + defines.map { "-D" + $0 }
        + ["\(abiFolder)/\(source).c", "-o", scratch]
    let (status, output) = run(command)
    precondition(status == 0, "a test plugin does not compile: \(output)")
    let bytes = readFile(scratch)
    unlink(scratch)
    cache.withLock { $0[key] = bytes }
    install(bytes, path)
}

/// A new inode each time, with the mode the host asks for.
private func install(_ bytes: [UInt8], _ path: String) {
    unlink(path)
    writeFile(path, bytes)
    chmod(path, 0o755)
}
