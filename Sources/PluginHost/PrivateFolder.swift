// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The folder of the private copies, mode 0700. A copy lives there only between `open` and `dlopen`.
final class PrivateFolder {
    let path: String
    private var counter = 0

    init(_ path: String) { self.path = path }

    /// Makes the folder, or takes over one that is ours alone, and removes what a crash left behind.
    func prepare() throws(PluginError) {
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw PluginError(.host, "", "the folder \(path) for private copies cannot be made: \(systemText(errno)).")
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            chmod(path, 0o700) == 0
        else {
            throw PluginError(.host, "", "\(path) must be a folder that belongs to the broker's user; remove it.")
        }
        sweep()
    }

    /// Never the same twice, in this process or in another one of the same id: the counter starts at the clock.
    func freshPath(_ name: String) -> String {
        counter += 1
        return "\(path)/\(name)-\(getpid())-\(stamp)-\(counter).so"
    }

    private let stamp: Int = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return now.tv_sec &* 1_000_000 &+ now.tv_nsec / 1000
    }()

    private func sweep() {
        guard let folder = opendir(path) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if file.hasSuffix(".so") { unlink(path + "/" + file) }
        }
    }
}
