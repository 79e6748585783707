// SPDX-License-Identifier: Apache-2.0
import PluginHost

extension HTTPEvent {
    /// As text/event-stream has it: fields, one `data:` per line, an empty line. WHATWG HTML §9.2.6
    var encoded: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(data.count + name.utf8.count + id.utf8.count + 32)
        if retry > 0 { out += "retry: \(retry)\n".utf8 }
        if !id.isEmpty { out += "id: \(id)\n".utf8 }
        if !name.isEmpty { out += "event: \(name)\n".utf8 }
        for line in lines { out += Array("data: ".utf8) + line + [UInt8(ascii: "\n")] }
        return out + [UInt8(ascii: "\n")]
    }

    /// CR LF, CR and LF each end a line.
    private var lines: [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        var index = 0
        while index < data.count {
            let byte = data[index]
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                lines.append(data[start..<index])
                if byte == UInt8(ascii: "\r"), index + 1 < data.count, data[index + 1] == UInt8(ascii: "\n") {
                    index += 1
                }
                start = index + 1
            }
            index += 1
        }
        return lines + [data[start...]]
    }
}

/// Keeps the connection in use and tells the host of a client that is gone.
let eventStreamHeartbeat: [UInt8] = Array(":\n\n".utf8)
