// SPDX-License-Identifier: Apache-2.0

/// What is kept for topics and clients that do not come any more.
extension Shard {
    /// Gives up routes that nobody has asked for since the call before last, some thousand a tick.
    func ageRoutes(from slot: Int = 0) {
        if slot == 0 { patterns.clear() }
        guard let next = routes.age(from: slot) else { return }
        post { [self] in ageRoutes(from: next) }
    }
}
