// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Runs one scenario, with a broker of its own when `settings.spawn` says so.
public enum Bench {
    public static func run(_ settings: Settings) throws -> BenchResult {
        try settings.validate()
        guard let command = settings.spawn else {
            return try run(settings, pid: settings.pid ?? visibleBroker(settings))
        }
        let process = try BrokerProcess(command)
        defer { process.stop() }
        var own = settings
        (own.host, own.port) = ("127.0.0.1", process.port)
        return try run(own, pid: process.pid)
    }

    private static func visibleBroker(_ settings: Settings) -> Int32? {
        guard ["127.0.0.1", "localhost", "::1"].contains(settings.host) else { return nil }
        return ProcessMeter.listener(port: settings.port)
    }

    private static func run(_ settings: Settings, pid: Int32?) throws -> BenchResult {
        let meter = pid.map { ProcessMeter(pid: $0) }
        if let meter, meter.cpu() == nil { throw BenchError("there is no process \(meter.pid) to measure") }
        raiseFileLimit()
        switch settings.scenario {
        case .conn: return try ConnRun(settings: settings, broker: meter).run()
        case .retain: return try RetainRun(settings: settings, broker: meter).run()
        case .offline: return try OfflineRun(settings: settings, broker: meter).run()
        default: return try FlowRun(settings: settings, broker: meter).run()
        }
    }

    private static func raiseFileLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
