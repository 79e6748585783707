// SPDX-License-Identifier: Apache-2.0
import Glibc
import PluginHost

/// A regular file that is open for one answer; closed with it.
final class OpenFile: Sendable {
    let fd: Int32
    let size: Int
    /// Unix seconds.
    let modified: Int
    let tag: String

    /// Nil when it cannot be read or is no file.
    init?(_ path: String) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard fd >= 0 else { return nil }
        var status = stat()
        guard fstat(fd, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(fd)
            return nil
        }
        size = Int(status.st_size)
        modified = status.st_mtim.tv_sec
        let time = UInt64(bitPattern: Int64(modified)) &* 1_000_000_000 &+ UInt64(status.st_mtim.tv_nsec)
        tag = "\"\(String(time, radix: 16))-\(String(size, radix: 16))\""
    }

    deinit { close(fd) }

    /// At most 64 KiB of it. Empty at its end, nil when the disk fails.
    func read(at offset: Int, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: min(count, 64 << 10))
        let got = bytes.withUnsafeMutableBytes { pread(fd, $0.baseAddress, $0.count, off_t(offset)) }
        guard got >= 0 else { return nil }
        bytes.removeLast(bytes.count - got)
        return bytes
    }
}

/// What is answered of a file: all, a range, or that it has not changed.
struct FileAnswer: Sendable {
    let file: OpenFile
    var head: HTTPHead
    /// Empty: no body.
    var range: Range<Int>
}

/// What a request says about the copy it has.
struct FileConditions: Sendable {
    var ifMatch: String?
    var ifUnmodifiedSince: String?
    var ifNoneMatch: String?
    var ifModifiedSince: String?
    var range: String?
    var ifRange: String?
}

extension FileAnswer {
    /// RFC 9110 §13.2.2, §14.2
    init(_ file: OpenFile, type: String, cacheControl: String, _ conditions: FileConditions) {
        self.file = file
        head = HTTPHead(
            status: 200,
            fields: [
                HTTPPair("etag", file.tag), HTTPPair("last-modified", httpDate(file.modified)),
                HTTPPair("cache-control", cacheControl), HTTPPair("accept-ranges", "bytes"),
            ])
        range = 0..<file.size
        if Self.isAnother(file, conditions) {
            head.status = 412
            range = 0..<0
            return
        }
        if Self.isUnchanged(file, conditions) {
            head.status = 304
            range = 0..<0
            return
        }
        head.fields += [HTTPPair("content-type", type), HTTPPair("x-content-type-options", "nosniff")]
        let counts = conditions.ifRange.map { $0 == file.tag || httpSeconds($0) == file.modified } ?? true
        guard counts, let text = conditions.range, let wanted = ByteRanges(text, size: file.size) else { return }
        switch wanted {
        case .one(let part):
            head.status = 206
            range = part
            head.fields.append(
                HTTPPair("content-range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.size)"))
        case .unsatisfiable:
            head.status = 416
            range = 0..<0
            head.fields.append(HTTPPair("content-range", "bytes */\(file.size)"))
        }
    }

    /// It is not the one that the client wants to go on with. RFC 9110 §13.1.1, §13.1.4
    private static func isAnother(_ file: OpenFile, _ conditions: FileConditions) -> Bool {
        if let tags = conditions.ifMatch { return !entityTags(tags).contains { $0 == "*" || $0 == file.tag } }
        return conditions.ifUnmodifiedSince.flatMap(httpSeconds).map { file.modified > $0 } ?? false
    }

    private static func isUnchanged(_ file: OpenFile, _ conditions: FileConditions) -> Bool {
        if let tags = conditions.ifNoneMatch {
            return entityTags(tags).contains { tag in
                tag == "*" || (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag) == file.tag
            }
        }
        return conditions.ifModifiedSince.flatMap(httpSeconds).map { file.modified <= $0 } ?? false
    }

    private static func entityTags(_ text: String) -> [Substring] {
        text.split(separator: ",").map { part in
            part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
        }
    }
}

/// The value of a Range header. RFC 9110 §14.1.2
enum ByteRanges: Equatable {
    case one(Range<Int>)
    case unsatisfiable

    /// Nil when it is not understood or asks for several ranges: then the whole file is the answer.
    init?(_ text: String, size: Int) {
        guard text.lowercased().hasPrefix("bytes="), !text.contains(",") else { return nil }
        let parts = text.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let digits = parts.map { Self.number($0) }
        switch (parts[0].isEmpty, parts[1].isEmpty, digits[0], digits[1]) {
        case (true, false, _, let last?):
            self = last == 0 || size == 0 ? .unsatisfiable : .one(max(0, size - last)..<size)
        case (false, true, let first?, _): self = first < size ? .one(first..<size) : .unsatisfiable
        case (false, false, let first?, let last?) where first <= last:
            self = first < size ? .one(first..<min(last, size - 1) + 1) : .unsatisfiable
        default: return nil
        }
    }

    /// Digits of more than any file has bytes are as good as the largest number.
    private static func number(_ text: Substring) -> Int? {
        let isNumber = text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } && !text.isEmpty
        return isNumber ? Int(text) ?? Int.max : nil
    }
}
