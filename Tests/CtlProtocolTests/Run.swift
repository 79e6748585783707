// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What a program printed and how it ended.
struct Run: Equatable {
    let output: String
    let error: String
    let status: Int32
}

/// Runs a program to its end, without the `MARTLET_` variables of whoever runs the tests.
///
/// posix_spawn and files rather than Process and pipes: a program that leaves a child in the background would keep
/// both a pipe and Process's own socket open, and the wait would not end.
func execute(_ path: String, _ arguments: [String], environment: [String: String] = [:]) throws -> Run {
    let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-run-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, folder + "/out", O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, folder + "/err", O_WRONLY | O_CREAT, 0o600)
    let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("MARTLET_") }
    let variables = inherited.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
    var pid = pid_t()
    let failure = withCStrings([path] + arguments) { argv in
        withCStrings(variables) { posix_spawn(&pid, path, &actions, nil, argv, $0) }
    }
    try #require(failure == 0, "\(path): \(String(cString: strerror(failure)))")
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let texts = try ["out", "err"].map {
        String(decoding: try Data(contentsOf: URL(filePath: folder + "/" + $0)), as: UTF8.self)
    }
    let signal = status & 0x7F
    return Run(output: texts[0], error: texts[1], status: signal == 0 ? status >> 8 & 0xFF : 128 + signal)
}

private func withCStrings<T>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> T) -> T {
    let pointers = texts.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}
