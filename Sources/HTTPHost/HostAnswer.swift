// SPDX-License-Identifier: Apache-2.0
import PluginHost

/// The host's own answer of a status: one line of JSON.
func hostAnswer(_ status: Int, _ sentence: String? = nil) -> (fields: [HTTPPair], body: [UInt8]) {
    let body = "{\"code\":\(status),\"message\":\"\(jsonText(sentence ?? hostSentence(status)))\"}\n"
    return ([HTTPPair("content-type", "application/json")], Array(body.utf8))
}

private func hostSentence(_ status: Int) -> String {
    switch status {
    case 400: "The request is not valid HTTP."
    case 401: "Who you are has to be known here."
    case 403: "This is not allowed."
    case 404: "There is nothing here."
    case 405: "This method is not for this path."
    case 408: "The request did not arrive in time."
    case 412: "The file is not the one you mean."
    case 413: "The body is too large."
    case 416: "The file has no such range."
    case 429: "Too many failed attempts from your address."
    case 431: "The header is too large."
    case 501: "Of the transfer codings only chunked is known here."
    case 503: "What answers here is busy or being replaced."
    case 504: "The answer did not come in time."
    case 505: "Only HTTP/1.0 and HTTP/1.1 are spoken here."
    default: "The request failed."
    }
}

func jsonText(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": out += "\\\""
        case "\\": out += "\\\\"
        default:
            if scalar.value < 0x20 {
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
    }
    return out
}
