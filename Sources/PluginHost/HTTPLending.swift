// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// All texts of one call in one block of memory, which is lent to the plugin for the length of that call.
private struct LentTexts {
    private(set) var bytes: [UInt8] = []

    struct Place {
        let start: Int
        let count: Int
    }

    mutating func add(_ text: String) -> Place {
        let start = bytes.count
        bytes += text.utf8
        return Place(start: start, count: bytes.count - start)
    }

    mutating func add(_ pairs: [HTTPPair]) -> [(Place, Place)] { pairs.map { (add($0.name), add($0.value)) } }
}

extension martlet_bytes {
    fileprivate func at(_ place: LentTexts.Place) -> martlet_bytes {
        martlet_bytes(ptr: ptr.map { $0 + place.start }, len: place.count)
    }

    fileprivate func fields(_ places: [(LentTexts.Place, LentTexts.Place)]) -> [martlet_http_field] {
        places.map { martlet_http_field(name: at($0.0), value: at($0.1)) }
    }
}

func lendRequest(_ call: HTTPArrival, _ body: (UnsafePointer<martlet_http_request>) -> Void) {
    var texts = LentTexts()
    let words = [call.method, call.path, call.query, call.peer, call.listener, call.user].map { texts.add($0) }
    let places = [call.params, call.queryFields, call.headers].map { texts.add($0) }
    var memory = texts.bytes
    var content = call.body
    lend(&memory) { all in
        let lists = places.map(all.fields)
        lists[0].withUnsafeBufferPointer { params in
            lists[1].withUnsafeBufferPointer { query in
                lists[2].withUnsafeBufferPointer { headers in
                    lend(&content) { content in
                        var request = martlet_http_request(
                            size: size(of: martlet_http_request.self), secure: call.isSecure, id: call.id,
                            method: all.at(words[0]), path: all.at(words[1]), query: all.at(words[2]),
                            peer: all.at(words[3]), listener: all.at(words[4]), user: all.at(words[5]),
                            params: params.baseAddress, nparams: params.count, query_fields: query.baseAddress,
                            nquery_fields: query.count, headers: headers.baseAddress, nheaders: headers.count,
                            body: content)
                        body(&request)
                    }
                }
            }
        }
    }
}

func lendCredentials(
    _ credentials: HTTPCredentials, _ call: HTTPArrival, _ body: (UnsafePointer<martlet_http_credentials>) -> Void
) {
    var (scheme, secrets) = (UInt32(MARTLET_HTTP_AUTH_BASIC), ["", "", ""])
    switch credentials.secret {
    case .basic(let username, let password): secrets = [username, password, ""]
    case .bearer(let token): (scheme, secrets) = (UInt32(MARTLET_HTTP_AUTH_BEARER), ["", "", token])
    }
    var texts = LentTexts()
    let words = (secrets + [call.method, call.path, call.peer, call.listener]).map { texts.add($0) }
    var memory = texts.bytes
    lend(&memory) { all in
        var lent = martlet_http_credentials(
            size: size(of: martlet_http_credentials.self), scheme: scheme, id: call.id, username: all.at(words[0]),
            password: all.at(words[1]), token: all.at(words[2]), method: all.at(words[3]), path: all.at(words[4]),
            peer: all.at(words[5]), listener: all.at(words[6]))
        body(&lent)
    }
}
