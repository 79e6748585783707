// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MQTTCodec

/// Table 2-4 of MQTT 5: identifier, encoding, and the packets each may stand in (0: the will).
struct PropertyRow: Sendable {
    let id: PropertyID
    let kind: PropertyKind
    let places: Set<UInt8>

    static let acks: Set<UInt8> = [4, 5, 6, 7]

    static let all: [PropertyRow] = [
        PropertyRow(id: .payloadFormatIndicator, kind: .byte, places: [3, 0]),
        PropertyRow(id: .messageExpiryInterval, kind: .uint32, places: [3, 0]),
        PropertyRow(id: .contentType, kind: .string, places: [3, 0]),
        PropertyRow(id: .responseTopic, kind: .string, places: [3, 0]),
        PropertyRow(id: .correlationData, kind: .binary, places: [3, 0]),
        PropertyRow(id: .subscriptionIdentifier, kind: .varInt, places: [3, 8]),
        PropertyRow(id: .sessionExpiryInterval, kind: .uint32, places: [1, 2, 14]),
        PropertyRow(id: .assignedClientIdentifier, kind: .string, places: [2]),
        PropertyRow(id: .serverKeepAlive, kind: .uint16, places: [2]),
        PropertyRow(id: .authenticationMethod, kind: .string, places: [1, 2, 15]),
        PropertyRow(id: .authenticationData, kind: .binary, places: [1, 2, 15]),
        PropertyRow(id: .requestProblemInformation, kind: .byte, places: [1]),
        PropertyRow(id: .willDelayInterval, kind: .uint32, places: [0]),
        PropertyRow(id: .requestResponseInformation, kind: .byte, places: [1]),
        PropertyRow(id: .responseInformation, kind: .string, places: [2]),
        PropertyRow(id: .serverReference, kind: .string, places: [2, 14]),
        PropertyRow(id: .reasonString, kind: .string, places: acks.union([2, 9, 11, 14, 15])),
        PropertyRow(id: .receiveMaximum, kind: .uint16, places: [1, 2]),
        PropertyRow(id: .topicAliasMaximum, kind: .uint16, places: [1, 2]),
        PropertyRow(id: .topicAlias, kind: .uint16, places: [3]),
        PropertyRow(id: .maximumQoS, kind: .byte, places: [2]),
        PropertyRow(id: .retainAvailable, kind: .byte, places: [2]),
        PropertyRow(id: .userProperty, kind: .stringPair, places: acks.union([0, 1, 2, 3, 8, 9, 10, 11, 14, 15])),
        PropertyRow(id: .maximumPacketSize, kind: .uint32, places: [1, 2]),
        PropertyRow(id: .wildcardSubscriptionAvailable, kind: .byte, places: [2]),
        PropertyRow(id: .subscriptionIdentifierAvailable, kind: .byte, places: [2]),
        PropertyRow(id: .sharedSubscriptionAvailable, kind: .byte, places: [2]),
    ]

    /// One property of this kind, with a value that is right everywhere.
    var block: [UInt8] {
        let value: [UInt8] =
            switch kind {
            case .byte: [1]
            case .uint16: [0, 1]
            case .uint32: [0, 0, 0, 1]
            case .varInt: [1]
            case .string: [0, 1, 0x61]
            case .binary: [0, 1, 0xFF]
            case .stringPair: [0, 1, 0x6B, 0, 1, 0x76]
            }
        return [id.rawValue] + value
    }
}

extension PropertyRow: CustomTestStringConvertible {
    var testDescription: String { "\(id)" }
}

@Suite("Properties")
struct PropertyTests {
    static let places: [PropertyPlace] =
        [.will] + (1...15 as ClosedRange<UInt8>).map { .packet(PacketType(rawValue: $0)!) }

    @Test("[§2.2.2.2] a property stands where table 2-4 lets it, and nowhere else", arguments: PropertyRow.all)
    func allowsPlaces(_ row: PropertyRow) {
        for (number, place) in Self.places.enumerated() {
            let allowed = row.places.contains(UInt8(number))
            #expect(validate(row.block, place) == (allowed ? nil : .malformedPacket), "\(place)")
        }
    }

    @Test(
        "[§2.2.2.2] only user properties, and in PUBLISH subscription identifiers, repeat", arguments: PropertyRow.all)
    func refusesDuplicates(_ row: PropertyRow) {
        for number in row.places {
            let mayRepeat = row.id == .userProperty || (row.id == .subscriptionIdentifier && number == 3)
            #expect(validate(row.block + row.block, Self.places[Int(number)]) == (mayRepeat ? nil : .protocolError))
        }
    }

    @Test("[§1.2] a property cut anywhere is refused", arguments: PropertyRow.all)
    func refusesCutProperties(_ row: PropertyRow) {
        #expect(row.id.kind == row.kind)
        for length in 1..<row.block.count {
            for number in row.places {
                #expect(validate(Array(row.block[..<length]), Self.places[Int(number)]) == .malformedPacket)
            }
        }
    }

    @Test("[§2.2.2.2] an identifier that the table does not have is refused everywhere")
    func refusesUnknownIdentifiers() {
        let known = Set(PropertyRow.all.map(\.id.rawValue))
        #expect(known.count == 27)
        for id in (0...255 as ClosedRange<UInt8>) where !known.contains(id) {
            for place in Self.places { #expect(validate([id, 0, 0, 0, 0, 0], place) == .malformedPacket) }
        }
    }

    @Test("[MQTT-1.5.4-1] [MQTT-1.5.7-1] strings are checked, binary data is not", arguments: PropertyRow.all)
    func checksStrings(_ row: PropertyRow) {
        let place = Self.places[Int(row.places.min()!)]
        switch row.kind {
        case .string: #expect(validate([row.id.rawValue, 0, 1, 0x80], place) == .malformedPacket)
        case .binary: #expect(validate([row.id.rawValue, 0, 1, 0x80], place) == nil)
        case .stringPair:
            #expect(validate([row.id.rawValue, 0, 1, 0x80, 0, 0], place) == .malformedPacket)
            #expect(validate([row.id.rawValue, 0, 0, 0, 1, 0x80], place) == .malformedPacket)
        default: break
        }
    }

    @Test("a written property reads back", arguments: PropertyRow.all)
    func roundTrips(_ row: PropertyRow) throws {
        for number in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 268_435_455] as [UInt32] {
            try roundTrip(row, number)
        }
    }

    private func roundTrip(_ row: PropertyRow, _ number: UInt32) throws {
        let text = [UInt8](repeating: 0x61, count: Int(number % 300))
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 700, alignment: 1)
        defer { room.deallocate() }
        var writer = PropertyWriter(room)
        let value = row.kind == .byte ? number & 0xFF : row.kind == .uint16 ? number & 0xFFFF : number
        let wrote = text.withUnsafeBytes { text in
            switch row.kind {
            case .byte, .uint16, .uint32, .varInt: writer.append(row.id, value)
            case .string, .binary: writer.append(row.id, text)
            case .stringPair: writer.appendUserProperty(text, text)
            }
        }
        #expect(wrote)
        var reader = PropertyReader(ByteRange(count: UInt32(writer.block.count)))
        let first = try reader.next(in: writer.block)
        let property = try #require(first)
        #expect(property.id == row.id)
        let second = try reader.next(in: writer.block)
        #expect(second == nil)
        let base = try #require(writer.block.baseAddress)
        switch row.kind {
        case .byte, .uint16, .uint32, .varInt: #expect(property.number == value)
        case .string, .binary: #expect(Array(property.bytes.bytes(in: base)) == text)
        case .stringPair:
            #expect(Array(property.bytes.bytes(in: base)) == text)
            #expect(Array(property.pairValue.bytes(in: base)) == text)
        }
    }

    @Test("a property that does not fit is left out and reported", arguments: PropertyRow.all)
    func writerIsBounded(_ row: PropertyRow) throws {
        var capacity = 0
        while capacity <= 2 * row.block.count {
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
            defer { room.deallocate() }
            var writer = PropertyWriter(room)
            let fits = row.block.withUnsafeBytes { block in
                switch row.kind {
                case .byte, .uint16, .uint32, .varInt: writer.append(row.id, 1)
                case .string, .binary: writer.append(row.id, UnsafeRawBufferPointer(rebasing: block[3...]))
                case .stringPair:
                    writer.appendUserProperty(
                        UnsafeRawBufferPointer(rebasing: block[3..<4]), UnsafeRawBufferPointer(rebasing: block[6...]))
                }
            }
            #expect(fits == (capacity >= row.block.count))
            #expect(Array(writer.block) == (fits ? row.block : []))
            let fitsTwice = row.block.withUnsafeBytes { writer.append(block: $0) }
            #expect(fitsTwice == (capacity - (fits ? row.block.count : 0) >= row.block.count))
            capacity += 1
        }
    }

    @Test("[MQTT-3.3.2-18] what a message hands on keeps its order, the rest stays behind")
    func copiesPassThrough() throws {
        let parts: [(passes: Bool, bytes: [UInt8])] = [
            (true, [0x26, 0, 1, 0x62, 0, 1, 0x31]), (false, [0x23, 0, 1]), (true, [0x01, 1]),
            (false, [0x02, 0, 0, 0, 9]), (true, [0x26, 0, 1, 0x61, 0, 1, 0x32]), (false, [0x0B, 0x80, 0x01]),
            (true, [0x09, 0, 2, 0, 0xFF]), (false, [0x18, 0, 0, 0, 1]), (true, [0x03, 0, 0]),
            (true, [0x08, 0, 1, 0x72]), (false, [0x0B, 5]),
        ]
        let all = parts.flatMap(\.bytes)
        let expected = parts.filter(\.passes).flatMap(\.bytes)
        #expect(all.withUnsafeBytes { passThroughSize(of: $0) } == expected.count)
        let copy = all.withUnsafeBytes { all in
            write(expected.count) { copyPassThroughProperties(from: all, into: $0) }
        }
        #expect(copy == expected)
        let own = parts.filter { !$0.passes }.flatMap(\.bytes)
        #expect(own.withUnsafeBytes { passThroughSize(of: $0) } == 0)
        #expect(passThroughSize(of: noBytes) == 0)
    }

    /// The reason it is refused with; nil: it is right.
    private func validate(_ block: [UInt8], _ place: PropertyPlace) -> ReasonCode? {
        // In the middle of a body, so that reading over the block's end would find bytes.
        let body = [0x11, 0x22] + block + [0, 0, 0, 0, 0, 0]
        do throws(DecodeError) {
            try validateProperties(ByteRange(2, block.count), in: body.span.bytes, for: place)
            return nil
        } catch {
            return error.reason
        }
    }
}
