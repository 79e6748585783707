// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A plugin's file in one of the plugin directories, opened and checked. What is checked is what is copied: the name is
/// not looked up a second time.
struct PluginFile: ~Copyable {
    let name: String
    let path: String
    let descriptor: Int32
    let status: stat

    deinit { close(descriptor) }

    /// Finds NAME.so and refuses what others could have written. `known` are the names for a hint.
    static func open(_ name: String, in directories: [String]) throws(PluginError) -> PluginFile {
        guard isPluginName(name) else {
            throw PluginError(
                .notFound, name,
                "\"\(oneLine(name.utf8, limit: 80))\" cannot be a plugin's name (not_found): "
                    + "it may hold letters, digits, _ and -."
            )
        }
        for directory in directories {
            let path = directory + "/" + name + ".so"
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            if descriptor < 0 {
                if errno == ENOENT || errno == ENOTDIR { continue }
                throw PluginError(.badFile, name, openFailure(path, errno))
            }
            var status = stat()
            guard fstat(descriptor, &status) == 0 else {
                close(descriptor)
                throw PluginError(.badFile, name, "\(path) cannot be examined: \(systemText(errno)).")
            }
            let file = PluginFile(name: name, path: path, descriptor: descriptor, status: status)
            try file.checkTrust(directory)
            return file
        }
        throw notFound(name, in: directories)
    }

    private static func openFailure(_ path: String, _ code: Int32) -> String {
        if code == ELOOP { return "\(path) is a symbolic link; put the file itself there." }
        return "\(path) cannot be opened: \(systemText(code))."
    }

    private static func notFound(_ name: String, in directories: [String]) -> PluginError {
        let places = directories.joined(separator: " or ")
        let near = nearestName(to: name, among: installedPlugins(in: directories)).map { " Did you mean \($0)?" } ?? ""
        return PluginError(
            .notFound, name, "there is no plugin \(name) (not_found): no \(name).so in \(places).\(near)")
    }

    private func checkTrust(_ directory: String) throws(PluginError) {
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw PluginError(.badFile, name, "\(path) is not a regular file.")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw PluginError(
                .badFile, name,
                "\(path) belongs to user \(status.st_uid); it must belong to root or to the broker's user \(geteuid())."
            )
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw PluginError(
                .badFile, name,
                "\(path) may be written by others than its owner; run: chmod go-w \(path)")
        }
        var folder = stat()
        guard stat(directory, &folder) == 0, folder.st_mode & S_IWOTH == 0 else {
            throw PluginError(
                .badFile, name, "the folder \(directory) may be written by everybody; run: chmod o-w \(directory)")
        }
    }

    /// What the file is, so that a probe of it need not be repeated while it does not change.
    var identity: FileIdentity {
        FileIdentity(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size),
            modified: Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec))
    }

    /// Up to `count` bytes from `offset`.
    func read(_ count: Int, at offset: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
        return Array(bytes.prefix(max(0, got)))
    }

    /// Copies the file to a path that was never used before: the dynamic linker would take a known path, or a known
    /// inode, for the image it already has, and a file that is overwritten while it is mapped kills the process.
    func privateCopy(in folder: PrivateFolder) throws(PluginError) -> String {
        let copy = folder.freshPath(name)
        let out = Glibc.open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard out >= 0 else {
            throw PluginError(
                .host, name, "a private copy of \(path) cannot be made in \(folder.path): \(systemText(errno)).")
        }
        defer { close(out) }
        var offset: off_t = 0
        while true {
            let sent = sendfile(out, descriptor, &offset, 1 << 20)
            if sent > 0 || sent < 0 && errno == EINTR { continue }
            // What was checked is what is mapped: beyond the end of a shorter copy the dynamic linker would fault.
            if sent == 0, offset == status.st_size { return copy }
            let why = sent == 0 ? "it became shorter meanwhile; copy it again" : systemText(errno)
            unlink(copy)
            throw PluginError(.host, name, "\(path) cannot be copied to \(folder.path): \(why).")
        }
    }
}

struct FileIdentity: Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int
    var modified: Int
}

/// Names of all NAME.so files, sorted, the first directory's winning.
func installedPlugins(in directories: [String]) -> [String] {
    var names: Set<String> = []
    for directory in directories {
        guard let folder = opendir(directory) else { continue }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard file.hasSuffix(".so") else { continue }
            let name = String(file.dropLast(3))
            if isPluginName(name) { names.insert(name) }
        }
    }
    return names.sorted()
}

func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }
