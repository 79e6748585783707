// SPDX-License-Identifier: Apache-2.0

/// Who publishes where and who hears it.
struct FlowLayout {
    var publishers: [ClientSpec] = []
    var receivers: [ClientSpec] = []
    var rule = Progress.Rule.sum
    /// Receivers of each message.
    var receiversPerMessage = 0

    private let settings: Settings
    private let run: String

    var subscriptions: Int { receivers.reduce(0) { $0 + $1.filters.count } }
    /// Messages that all publishers together will send.
    var limit: Int { publishers.reduce(0) { $0 &+ Int(truncatingIfNeeded: $1.publishing!.limit) } }

    init(_ settings: Settings, run: UInt32) throws {
        self.settings = settings
        self.run = String(run, radix: 16)
        let prefix = settings.topicPrefix
        switch settings.scenario {
        case .pub:
            publish { .fixed("\(prefix)/\($0)") }
        case .sub:
            for i in 0..<settings.subscribers { receive(i, ["\(prefix)/#"], .stranger, hears: 0..<0) }
        case .pairs:
            publish { .fixed("\(prefix)/\($0)") }
            for i in 0..<settings.subscribers { receive(i, ["\(prefix)/\(i)"], .onlyReceiver, hears: i..<i + 1) }
            receiversPerMessage = 1
        case .fanin, .fanout:
            publish { .fixed("\(prefix)/\($0)") }
            layMany()
        case .wildcard:
            publish { _ in .wildcard(prefix: prefix, filters: settings.filters) }
            layWildcards()
            receiversPerMessage = 1
        case .conn, .retain, .offline:
            throw BenchError("\(settings.scenario.rawValue) is not a flow")
        }
    }

    private mutating func publish(_ topic: (Int) -> PublishTemplate.Topic) {
        for i in 0..<settings.publishers {
            var limit = UInt64.max
            if let count = settings.count {
                limit = count / UInt64(settings.publishers) + (UInt64(i) < count % UInt64(settings.publishers) ? 1 : 0)
            }
            publishers.append(
                ClientSpec(
                    name: "bench-\(run)-p\(i)", publishing: .init(index: i, topic: topic(i), limit: limit)))
        }
    }

    private mutating func receive(_ i: Int, _ filters: [String], _ rule: ReceiverRule, hears: Range<Int>) {
        receivers.append(
            ClientSpec(
                name: "bench-\(run)-s\(i)", filters: filters, subscribeQoS: settings.qos, receiver: rule, hears: hears))
    }

    /// Fan-in and fan-out differ in numbers only: everybody hears everybody.
    private mutating func layMany() {
        let filter = settings.publishers == 1 ? "\(settings.topicPrefix)/0" : "\(settings.topicPrefix)/+"
        let isOnly = settings.subscribers == 1
        for i in 0..<settings.subscribers {
            receive(i, [filter], isOnly ? .onlyReceiver : .everyReceiver, hears: 0..<settings.publishers)
        }
        if !isOnly { rule = .lowest(loops: Array(0..<min(settings.threads, settings.subscribers))) }
        receiversPerMessage = settings.subscribers
    }

    private mutating func layWildcards() {
        for i in 0..<settings.subscribers {
            let numbers =
                settings.filters * i / settings.subscribers..<settings.filters * (i + 1) / settings.subscribers
            let filters = numbers.map { number in
                let digits = String(number)
                let zeros = String(repeating: "0", count: PublishTemplate.wildcardDigits - digits.count)
                return "\(settings.topicPrefix)/+/x/\(zeros)\(digits)/#"
            }
            receive(i, filters, .someReceiver(numbers: numbers), hears: 0..<settings.publishers)
        }
    }
}
