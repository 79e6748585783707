// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

@Suite struct ProcessorsTests {
    private func quota(_ files: [String: String]) -> Int? { Processors.quota { files[$0] } }

    @Test func withoutControlGroupsNothingLimits() {
        #expect(quota([:]) == nil)
        #expect(quota(["/proc/self/cgroup": "0::/\n"]) == nil)
        #expect(quota(["/proc/self/cgroup": "not what\nit should:be\n"]) == nil)
    }

    @Test(arguments: [
        ("200000 100000\n", 2), ("150000 100000\n", 2), ("100000 100000\n", 1), ("5000 100000\n", 1),
        ("1600000 100000\n", 16), ("max 100000\n", nil), ("0 100000\n", nil), ("200000 0\n", nil), ("", nil),
    ])
    func aContainersQuotaIsRoundedUp(_ limit: String, _ cores: Int?) {
        #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": limit]) == cores)
    }

    @Test func theNarrowestOfTheGroupsAroundCounts() {
        let service = "/sys/fs/cgroup/system.slice/martlet.service"
        var files = ["/proc/self/cgroup": "0::/system.slice/martlet.service\n"]
        files[service + "/cpu.max"] = "400000 100000\n"
        #expect(quota(files) == 4)
        files["/sys/fs/cgroup/system.slice/cpu.max"] = "300000 100000\n"
        #expect(quota(files) == 3)
        files["/sys/fs/cgroup/cpu.max"] = "max 100000\n"
        #expect(quota(files) == 3)
    }

    @Test func theFirstVersionOfControlGroupsCountsToo() {
        // Docker without a namespace for them: the path is that of the machine, the files are those of the container.
        var files = [
            "/proc/self/cgroup": "3:cpuset:/docker/ab\n2:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(files) == 3)
        files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "-1\n"
        #expect(quota(files) == nil)
        files["/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us"] = "50000\n"
        files["/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_period_us"] = "100000\n"
        #expect(quota(files) == 1)
    }
}
