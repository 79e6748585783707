// SPDX-License-Identifier: Apache-2.0

/// Appends `template` to `out` with `%c` replaced by the client id and `%u` by the user name. What is undefined (nil)
/// stays literal.
///
/// `wholeLevels`: replace only where the placeholder is a level of its own, as acl.conf does.
///
/// False if a value put in contains `/`, `+`, `#` or NUL, so that the result has other levels or wildcards than the
/// template. Who decides on rights by the result must then treat it as matching nothing: a client called `+` must not
/// turn the rule `sensor/%c` into one for all sensors.
public func expandPlaceholders(
    _ template: Bytes, clientID: Bytes?, username: Bytes?, wholeLevels: Bool = false, into out: inout [UInt8]
) -> Bool {
    var isClean = true
    var copied = 0
    var at = 0
    while at + 1 < template.count {
        guard template[at] == TopicByte.percent,
            let value = value(of: template[at + 1], clientID: clientID, username: username),
            !wholeLevels || isWholeLevel(template, at)
        else {
            at += 1
            continue
        }
        out.append(contentsOf: template[copied..<at])
        out.append(contentsOf: value)
        isClean = isClean && isOneLevel(value)
        at += 2
        copied = at
    }
    out.append(contentsOf: template[copied...])
    return isClean
}

private func value(of letter: UInt8, clientID: Bytes?, username: Bytes?) -> Bytes? {
    switch letter {
    case UInt8(ascii: "c"): clientID
    case UInt8(ascii: "u"): username
    default: nil
    }
}

private func isWholeLevel(_ template: Bytes, _ at: Int) -> Bool {
    (at == 0 || template[at - 1] == TopicByte.slash)
        && (at + 2 == template.count || template[at + 2] == TopicByte.slash)
}

private func isOneLevel(_ value: Bytes) -> Bool {
    isValidTopicName(value) && levelCount(value) == 1
}
