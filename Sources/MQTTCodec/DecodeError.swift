// SPDX-License-Identifier: Apache-2.0

/// Why a packet was refused. Trivial: throwing one allocates nothing.
public struct DecodeError: Error, Sendable {
    /// The code for CONNACK or DISCONNECT in MQTT 5; a 3.x connection is just closed.
    public var reason: ReasonCode
    /// The clause of the specification that was broken, without brackets: `MQTT-3.3.1-4`. Ids are those of MQTT 5;
    /// a rule that only 3.1.1 numbers is written `MQTT311-3.1.2-22`, a rule without a number as its section `§2.2.2.2`.
    public var clause: StaticString
    /// One sentence for people.
    public var text: StaticString

    @inlinable
    public init(_ reason: ReasonCode, _ clause: StaticString, _ text: StaticString) {
        self.reason = reason
        self.clause = clause
        self.text = text
    }
}
