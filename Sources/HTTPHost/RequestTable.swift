// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Synchronization

/// The open requests by their id, for plugins on any thread.
final class RequestTable: Sendable {
    private struct State {
        var open: [martlet_http_req: Exchange] = [:]
        var last: martlet_http_req = 0
        /// Open requests of a route.
        var routes: [martlet_token: Int] = [:]
    }

    private let state = Mutex(State())

    func nextID() -> martlet_http_req {
        state.withLock { state in
            state.last += 1
            return state.last
        }
    }

    func add(_ exchange: Exchange) { state.withLock { $0.open[exchange.id] = exchange } }

    func remove(_ exchange: Exchange) { state.withLock { _ = $0.open.removeValue(forKey: exchange.id) } }

    func find(_ id: martlet_http_req) -> Exchange? { state.withLock { $0.open[id] } }

    var all: [Exchange] { state.withLock { Array($0.open.values) } }

    /// A place among the open requests of a route; false when it has none left.
    func enter(_ route: martlet_token, limit: Int) -> Bool {
        state.withLock { state in
            guard state.routes[route, default: 0] < limit else { return false }
            state.routes[route, default: 0] += 1
            return true
        }
    }

    func leave(_ route: martlet_token) {
        state.withLock { state in
            let count = state.routes[route, default: 0] - 1
            state.routes[route] = count > 0 ? count : nil
        }
    }
}
