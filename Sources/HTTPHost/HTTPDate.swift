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

/// Unix seconds of such a date; nil when it is none.
func httpSeconds(_ text: String) -> Int? {
    let words = text.split { $0 == " " || $0 == ":" }
    guard words.count == 8, words[7] == "GMT", let month = months.firstIndex(of: String(words[2])),
        let day = Int32(words[1]), let year = Int32(words[3]), let hour = Int32(words[4]),
        let minute = Int32(words[5]), let second = Int32(words[6]), (1900...9999).contains(year)
    else { return nil }
    var parts = tm()
    parts.tm_mday = day
    parts.tm_mon = Int32(month)
    parts.tm_year = year - 1900
    parts.tm_hour = hour
    parts.tm_min = minute
    parts.tm_sec = second
    return timegm(&parts)
}
