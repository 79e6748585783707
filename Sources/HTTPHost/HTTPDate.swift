// SPDX-License-Identifier: Apache-2.0
import Glibc

private let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
private let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/// Unix seconds as "Sun, 06 Nov 1994 08:49:37 GMT". [RFC 9110 §5.6.7]
func httpDate(_ seconds: Int) -> String {
    var seconds = time_t(seconds)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900) "
        + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
}

/// Unix seconds of a date in any of the three forms that must be understood; nil when it is none. [RFC 9110 §5.6.7]
///
///     Sun, 06 Nov 1994 08:49:37 GMT
///     Sunday, 06-Nov-94 08:49:37 GMT
///     Sun Nov  6 08:49:37 1994
func httpSeconds(_ text: String) -> Int? {
    let words = text.split { $0 == " " || $0 == ":" || $0 == "-" }
    guard words.count == 8 || words.count == 7 else { return nil }
    let isC = words.count == 7
    let time = isC ? words[3...5] : words[4...6]
    guard isC || words[7] == "GMT", let month = months.firstIndex(of: String(words[isC ? 1 : 2])),
        let day = Int32(words[isC ? 2 : 1]), let year = fullYear(words[isC ? 6 : 3]), (1...31).contains(day)
    else { return nil }
    let clock = time.compactMap { Int32($0) }
    guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2])
    else { return nil }
    var parts = tm()
    parts.tm_mday = day
    parts.tm_mon = Int32(month)
    parts.tm_year = year - 1900
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (clock[0], clock[1], clock[2])
    return timegm(&parts)
}

/// One of two digits is of this century, unless that were more than fifty years from now. [RFC 9110 §5.6.7]
private func fullYear(_ digits: Substring) -> Int32? {
    guard let number = Int32(digits) else { return nil }
    guard digits.utf8.count == 2 else { return (1900...9999).contains(number) ? number : nil }
    var now = time(nil)
    var parts = tm()
    gmtime_r(&now, &parts)
    let present = parts.tm_year + 1900
    let year = present - present % 100 + number
    return year > present + 50 ? year - 100 : year
}
