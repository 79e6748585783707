// SPDX-License-Identifier: Apache-2.0

/// Whether a plugin call has blocked one loop: it is still the same one at a third look, and the thread has not spent
/// the time since the second waiting for a core. Pure: what is seen is a parameter; looks come every `step`.
public struct CallWatch: Sendable {
    /// Milliseconds from look to look.
    public static let step: UInt64 = 10

    /// As `Broker.runningCall`; 0: none.
    public private(set) var call: UInt64 = 0
    /// Looks that saw this call, the first not counted.
    private var repeats = 0
    /// Nanoseconds the thread had waited for a core by the second; nil: nobody knows.
    private var waited: UInt64?

    public init() {}

    /// True once for each call.
    /// - Parameter waited: nanoseconds the loop's thread has been ready to run without a core, since it began; nil: that
    ///   cannot be found out now. Asked at the second and third look only.
    public mutating func look(_ call: UInt64, waited: () -> UInt64?) -> Bool {
        guard call != 0, call == self.call else {
            self = CallWatch()
            self.call = call
            return false
        }
        repeats += 1
        switch repeats {
        case 1:
            self.waited = waited()
            return false
        case 2:
            guard let before = self.waited, let now = waited(), now >= before else { return true }
            return now - before < Self.step * 1_000_000 / 2
        default: return false
        }
    }
}
