// SPDX-License-Identifier: Apache-2.0
import CReactor

/// How many cores this process may use: in a container, or under `taskset` or systemd's `CPUAffinity`, fewer than the
/// machine has. Threads beyond them only wait for each other; under a quota they use it up together and then all stand
/// still until its next period.
public enum Processors {
    /// Those this process may run on, and of them no more than the quota of its control groups allows, rounded up. At
    /// least 1.
    public static var available: Int {
        let quota = Self.quota { file in withStart(of: file, most: 16_384) { String(decoding: $0, as: UTF8.self) } }
        return min(Int(cr_processors()), quota ?? .max)
    }

    /// What the control groups of this process allow, the outer ones too, which hold for all within.
    ///
    /// - Parameter file: the text of a file, nil when there is none.
    /// - Returns: whole cores, nil when nothing limits them.
    static func quota(of file: (String) -> String?) -> Int? {
        (file("/proc/self/cgroup") ?? "").split(separator: "\n").flatMap { line -> [Int] in
            // number:controllers:path, version 2 without controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            if fields[1].isEmpty {
                return groups(fields[2], below: ["", "/unified"]).compactMap { cores(file($0 + "/cpu.max")) }
            }
            guard fields[1].split(separator: ",").contains("cpu") else { return [] }
            return groups(fields[2], below: ["/\(fields[1])", "/cpu"]).compactMap {
                guard let quota = file($0 + "/cpu.cfs_quota_us"), let period = file($0 + "/cpu.cfs_period_us") else {
                    return nil
                }
                return cores(quota + " " + period)
            }
        }.min()
    }

    /// The directories of a group and those around it. In a container the path may be that outside of it, of which
    /// nothing is there but the outermost directory: the container's own.
    private static func groups(_ path: Substring, below mounts: [String]) -> [String] {
        let names = path.split(separator: "/").map(String.init)
        return mounts.flatMap { mount in
            (0...names.count).map { (["/sys/fs/cgroup" + mount] + names.prefix($0)).joined(separator: "/") }
        }
    }

    /// Of microseconds of processor time and those of the period in which they may be used; "max" and -1 are no limit.
    private static func cores(_ text: String?) -> Int? {
        let numbers = (text ?? "").split { $0 == " " || $0 == "\n" }.map { Int($0) ?? -1 }
        guard numbers.count == 2, numbers[0] > 0, numbers[1] > 0 else { return nil }
        return (numbers[0] - 1) / numbers[1] + 1
    }
}
