// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import Glibc

/// Sends the arguments, copies the answer out, and gives the broker's exit status.
func converse(at place: Place, _ arguments: [[UInt8]]) throws(NoAnswer) -> Int32 {
    let request = CtlProtocol.request(arguments)
    guard request.count - 4 <= CtlProtocol.maxRequestBytes else {
        throw NoAnswer(reason: "the arguments are longer than \(CtlProtocol.maxRequestBytes) bytes")
    }
    let connection = try Connection(path: place.socket)
    connection.send(request)
    var reader = CtlFrameReader()
    while true {
        while let frame = try nextFrame(&reader) {
            switch frame.kind {
            case .output: writeAll(STDOUT_FILENO, frame.payload)
            case .error: writeAll(STDERR_FILENO, frame.payload)
            case .exit: return Int32(frame.payload[0])
            }
        }
        let bytes = try connection.receive()
        if bytes.isEmpty { throw NoAnswer(reason: "the answer was cut short") }
        reader.feed(bytes)
    }
}

func nextFrame(_ reader: inout CtlFrameReader) throws(NoAnswer) -> CtlFrameReader.Frame? {
    do { return try reader.next() } catch { throw NoAnswer(reason: "the answer is not in the ctl protocol") }
}

/// A reader that went away (`| head`) ends the command in silence, by SIGPIPE or, where that is ignored, by its status.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, $0.count - written) }
        if count < 0, errno == EINTR { continue }
        if count < 0 { exit(errno == EPIPE ? 128 + SIGPIPE : 1) }
        written += count
    }
}

let place = Place.find()
let arguments = (1..<Int(CommandLine.argc)).map { index in
    let argument = CommandLine.unsafeArgv[index]!
    return [UInt8](UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
}
do {
    exit(try converse(at: place, arguments))
} catch {
    writeAll(STDERR_FILENO, Array("Node '\(place.node)' not responding: \(error.reason).\n".utf8))
    exit(1)
}
