// SPDX-License-Identifier: Apache-2.0
/// martlet.psk/1: the keys of TLS clients that come with a shared key instead of a certificate.
public struct PSK {
    let tables: Tables
    /// Writes the key of the identity and returns its length, 0 when it is not known.
    public typealias Find = (_ identity: Bytes, _ key: UnsafeMutableBufferPointer<UInt8>) -> Int

    /// [main] The body runs on a loop, inside a handshake: the answer must be in memory.
    @discardableResult public func add(priority: Int32 = 0, _ body: @escaping Find)
        throws(PluginError) -> Registration
    {
        let table = try tables.need(tables.pointee.psk, "martlet.psk/1")
        return try Registration.make(PSKBox(tables, body)) {
            table.pointee.add(tables.host, priority, PSKBox.call, $0, $1)
        }
    }
}

private final class PSKBox: Box {
    let body: PSK.Find
    init(_ tables: Tables, _ body: @escaping PSK.Find) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_psk_fn {
        { user, identity, key, room in
            Box.use(user) { (box: PSKBox) in
                box.body(Bytes(identity), UnsafeMutableBufferPointer(start: key, count: room))
            }
        }
    }
}
