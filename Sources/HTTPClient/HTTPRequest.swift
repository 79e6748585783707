// SPDX-License-Identifier: Apache-2.0

/// One request, all of it copied. `init` says what is wrong with it; what it lets through cannot break out of its line.
public struct HTTPRequest: Sendable {
    /// Upper bounds, in bytes, whatever the caller asks for.
    public static let maxURLBytes = 8192
    public static let maxHeaderBytes = 64 << 10
    public static let maxBodyBytes = 64 << 20

    public let method: String
    public let url: String
    /// `Name: value` lines, each terminated by NUL; an empty one ends them.
    let headerLines: [UInt8]
    public internal(set) var body: [UInt8]
    /// From `submit` to the last byte of the response, waiting and repetitions included.
    public var timeoutMS: UInt32 = 10_000
    public var connectTimeoutMS: UInt32 = 5000
    /// A longer response fails.
    public var maxResponseBytes = 1 << 20
    /// Of GET and HEAD only, at most five times, never from https to http.
    public var followsRedirects = false
    /// How often it is made again after a failure, where that is safe.
    public var retries = 0
    /// The caller says that the server may receive it twice, although its method is not idempotent.
    public var mayArriveTwice = false

    /// Why a request is refused, as the rest of a sentence.
    public struct Mistake: Error, Equatable {
        public let text: String
        public init(_ text: String) { self.text = text }
    }

    public init(
        method: some Collection<UInt8>, url: some Collection<UInt8>,
        headers: [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)], body: UnsafeRawBufferPointer
    ) throws(Mistake) {
        guard method.count <= 32, method.allSatisfy(isTokenByte) else {
            throw Mistake("the method is no word of HTTP")
        }
        guard let scheme = Origin.scheme(of: url), url.count <= Self.maxURLBytes, url.allSatisfy(isURLByte) else {
            throw Mistake(
                "the URL must begin with http:// or https://, have at most \(Self.maxURLBytes) bytes and no "
                    + "spaces or control characters")
        }
        guard scheme.count < url.count else { throw Mistake("the URL names no host") }
        guard body.count <= Self.maxBodyBytes else {
            throw Mistake("a body may have \(Self.maxBodyBytes >> 20) MB")
        }
        self.method = method.isEmpty ? "GET" : String(decoding: method, as: UTF8.self)
        self.url = String(decoding: url, as: UTF8.self)
        self.body = Array(body)
        headerLines = try Self.lines(headers)
    }

    private static func lines(
        _ headers: [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)]
    ) throws(Mistake) -> [UInt8] {
        var lines: [UInt8] = []
        var names: Set<String> = []
        for (name, value) in headers {
            guard !name.isEmpty, name.allSatisfy(isTokenByte) else {
                throw Mistake("the name of a header is no word of HTTP")
            }
            guard value.allSatisfy({ $0 != 0 && $0 != 10 && $0 != 13 }) else {
                throw Mistake("the value of a header holds a line break or NUL")
            }
            let lowercased = String(decoding: name, as: UTF8.self).lowercased()
            // RFC 9112 §6: where a body ends is not for two to say.
            guard !["content-length", "transfer-encoding"].contains(lowercased) else {
                throw Mistake("\(lowercased) is written by the host")
            }
            guard lines.count + name.count + value.count + 3 <= maxHeaderBytes else {
                throw Mistake("headers may have \(maxHeaderBytes >> 10) KB together")
            }
            names.insert(lowercased)
            // A semicolon is libcurl's sign for a header that is there and empty.
            lines += Array(name) + (value.isEmpty ? [UInt8(ascii: ";")] : Array(": ".utf8) + Array(value)) + [0]
        }
        // libcurl's own ideas: waiting a second for "100 Continue", and calling every body a form.
        for unwanted in ["expect", "content-type"] where !names.contains(unwanted) {
            lines += Array(unwanted.utf8) + [UInt8(ascii: ":"), 0]
        }
        return lines + [0]
    }
}

/// Of a method or a field's name, RFC 9110 §5.6.2 tchar.
public func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}

private func isURLByte(_ byte: UInt8) -> Bool { byte > 0x20 && byte != 0x7F }

/// Why there is no whole response.
public enum HTTPFailure: String, Sendable, CaseIterable {
    case url, resolve, connect, tls, timeout, closed
    case tooLarge = "too_large"
    case `protocol`, `internal`
}

/// What came of a request.
public struct HTTPResult: Sendable {
    public init() {}

    /// nil: the response is whole, whatever its status says.
    public var failure: HTTPFailure?
    /// What went wrong, with the server's place and without the rest of the URL, which may hold secrets.
    public var sentence = ""
    /// 0 without a response.
    public var status: Int32 = 0
    /// 10, 11, 20; 0 when unknown.
    public var version: Int32 = 0
    public var head = ResponseHead()
    public var body: [UInt8] = []
    /// How often it was sent, or tried to.
    public var attempts = 1
    public var microseconds: UInt64 = 0

    /// Give the bytes away, so that their new owner has them alone.
    public mutating func takeHead() -> [UInt8] { head.takeBytes() }
    public mutating func takeBody() -> [UInt8] {
        defer { body = [] }
        return body
    }
}
