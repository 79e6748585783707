// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import HummingbirdCore
import NIOCore
import PluginHost

/// Files of a plugin's folder.
extension Visit {
    func file(_ folder: HTTPFolder, _ match: Router.Match, _ target: Target) -> Plan {
        let rest = match.params.last?.value ?? ""
        var found = folder.find(rest, endsWithSlash: target.path.hasSuffix("/"))
        if case .nothing = found { found = folder.fallbackFile }
        switch found {
        case .file(let file, let name): return .file(answer(file, name, folder))
        case .folder:
            // One slash at its head: two would name another host.
            let path = "/" + target.path.drop { $0 == "/" } + "/"
            let query = target.query.isEmpty ? "" : "?" + target.query
            return Plan(
                own(308, "The folder is at \(path).", [HTTPPair("location", path + query)]))
        case .nothing: return Plan(own(404, "There is nothing at \(target.path)."))
        }
    }

    private func answer(_ file: OpenFile, _ name: String, _ folder: HTTPFolder) -> FileAnswer {
        let headers = request.headers
        let conditions = FileConditions(
            ifMatch: headers[.ifMatch], ifUnmodifiedSince: headers[.ifUnmodifiedSince],
            ifNoneMatch: headers[.ifNoneMatch], ifModifiedSince: headers[.ifModifiedSince],
            range: method == "GET" ? headers[.range] : nil, ifRange: headers[.ifRange])
        return FileAnswer(file, type: mediaType(name), cacheControl: folder.cacheControl, conditions)
    }

    func send(_ answer: FileAnswer, _ writer: consuming ResponseWriter) async throws {
        if answer.head.status == 416 || answer.head.status == 412 {
            let (head, body) = own(answer.head.status)
            var fields = answer.head.fields.filter { $0.name != "content-type" } + head.fields
            fields.removeAll { $0.name == "etag" || $0.name == "last-modified" || $0.name == "cache-control" }
            return try await send((HTTPHead(status: answer.head.status, fields: fields), body), writer)
        }
        var response = response(answer.head)
        if answer.head.status != 304 { response.headerFields[.contentLength] = "\(answer.range.count)" }
        guard !isHead, !answer.range.isEmpty else { return try await writer.writeResponse(response) }
        var out = try await writer.writeHead(response)
        var offset = answer.range.lowerBound
        while offset < answer.range.upperBound {
            guard let bytes = answer.file.read(at: offset, count: answer.range.upperBound - offset), !bytes.isEmpty
            else {
                // It became shorter, or the disk failed: the promised length cannot be kept.
                keeper.close("file_error")
                throw AnswerBroken()
            }
            try await out.write(ByteBuffer(bytes: bytes))
            offset += bytes.count
        }
        try await out.finish(nil)
    }
}
