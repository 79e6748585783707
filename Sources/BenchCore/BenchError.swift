// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One sentence for the person at the terminal.
public struct BenchError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What `errno` means.
func errorText() -> String { String(cString: strerror(errno)) }
