// SPDX-License-Identifier: Apache-2.0
/// One network connection of a client. The handle may be kept; when the client is gone it is an error, never a crash.
public struct Client: Equatable {
    public let id: martlet_client
    let tables: Tables

    @inline(__always) public static func == (left: Client, right: Client) -> Bool { left.id == right.id }
    /// There is none: an offline session, or a plugin's own publish.
    @inline(__always) public var isNone: Bool { id == 0 }

    public enum Field: Int32 {
        case clientID, username
        /// "192.0.2.7:51234", "[2001:db8::1]:51234"
        case peer
        /// "tcp:external"
        case listener
        case zone, mountpoint, certificateCN, certificateDN
        /// "MQIsdp" or "MQTT"
        case protocolName
        /// "3", "4" or "5"
        case protocolVersion
    }
    /// [loop] of this client. nil when the field is empty or the client is gone.
    public func get(_ field: Field) -> Bytes? {
        guard let table = tables.pointee.client else { return nil }
        var out = martlet_bytes()
        guard table.pointee.get(tables.host, id, field.rawValue, &out) == 0 else { return nil }
        return Bytes(out)
    }
    /// [any but another loop] May wait for the client's loop, so not for a data path.
    public func copy(_ field: Field) -> String? {
        guard let table = tables.pointee.client else { return nil }
        let length = table.pointee.copy(tables.host, id, field.rawValue, nil, 0)
        guard length > 0 else { return nil }
        let text = [UInt8](unsafeUninitializedCapacity: length) { buffer, used in
            let full = table.pointee.copy(tables.host, id, field.rawValue, buffer.baseAddress, length)
            used = Swift.min(full, length)
        }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }
    /// [any] Closes the connection; an MQTT 5 client gets DISCONNECT with this reason code first.
    @discardableResult public func kick(reason: UInt8) -> Status {
        guard let table = tables.pointee.client else { return .unsupported }
        return Status(table.pointee.kick(tables.host, id, reason))
    }
}

/// martlet.client/1.
public struct Clients {
    let tables: Tables

    /// [any but a loop] The connection of a client id, nil when it is not connected.
    public func named(_ clientID: String) -> Client? {
        guard let table = tables.pointee.client else { return nil }
        let id = clientID.withBytes { table.pointee.by_clientid(tables.host, $0.raw) }
        return id == 0 ? nil : Client(id: id, tables: tables)
    }
}

/// One MQTT session, online or not.
public struct Session: Equatable {
    public let id: martlet_session
    public init(id: martlet_session) { self.id = id }
    @inline(__always) public static func == (left: Session, right: Session) -> Bool { left.id == right.id }
    @inline(__always) public var isNone: Bool { id == 0 }
}
