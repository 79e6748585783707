// SPDX-License-Identifier: Apache-2.0

/// When a request may be made again. A request that may have reached its server is repeated only if receiving it twice
/// does what receiving it once does (RFC 9110 §9.2.2), and never once a byte of the answer has come.
struct RetryRule: Sendable {
    let isRepeatable: Bool

    init(_ request: HTTPRequest) {
        isRepeatable = request.mayArriveTwice || Self.isIdempotent(request.method)
    }

    /// RFC 9110 §9.2.2: the safe methods, PUT and DELETE.
    static func isIdempotent(_ method: String) -> Bool {
        ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(method)
    }

    /// - Parameters:
    ///   - wasSent: some of the request may have left this machine.
    ///   - wasAnswered: some of its response came.
    func mayRepeat(after failure: HTTPFailure, wasSent: Bool, wasAnswered: Bool) -> Bool {
        guard !wasAnswered else { return false }
        switch failure {
        case .resolve, .connect, .closed: return !wasSent || isRepeatable
        // Of connecting: the time of the whole request is not asked about here.
        case .timeout: return !wasSent
        case .url, .tls, .tooLarge, .protocol, .internal: return false
        }
    }

    /// Milliseconds before attempt number `attempt` (2, 3 …): doubled each time up to a second, with a random part so
    /// that the clients of a server that comes back do not come back together.
    static func pause(before attempt: Int, dice: Double) -> UInt64 {
        let whole = min(1000, 50 << UInt64(min(max(attempt - 2, 0), 10)))
        return UInt64(Double(whole) * (0.5 + dice / 2))
    }
}
