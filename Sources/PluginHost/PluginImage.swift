// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CPluginHost
import Glibc

/// A loaded image and what its entry says. The strings are copied: they outlive the image in lists and logs.
final class PluginImage {
    let name: String
    /// The file in the plugin directory.
    let path: String
    /// The name the dynamic linker knows it by; unlinked.
    let mappedPath: String
    let entry: UnsafePointer<martlet_entry>
    let version: String
    let description: String
    let needs: [String]
    let after: [String]
    /// It will never be unmapped: why.
    let pinned: String?
    private var handle: UnsafeMutableRawPointer?

    /// Steps 2 to 6 of a load: private copy, dlopen, entry, ABI checks, pin.
    ///
    /// - Parameter pins: false for a look at the entry only.
    static func open(
        _ file: borrowing PluginFile, folder: PrivateFolder, pins: Bool = true
    ) throws(PluginError) -> PluginImage {
        try file.checkFormat()
        let copy = try file.privateCopy(in: folder)
        defer { unlink(copy) }
        guard let handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL) else {
            let text = dlerror().map { String(cString: $0) } ?? "the dynamic linker gives no reason"
            throw PluginError(.badFile, file.name, explain(text, path: file.path, copy: copy))
        }
        do throws(PluginError) {
            return try PluginImage(handle, file.name, file.path, copy, pins: pins)
        } catch {
            // Full Swift cannot be unmapped safely, not even after a refusal.
            if cph_image_needs(handle, "libswiftCore") { _ = cph_pin(copy) }
            dlclose(handle)
            throw error
        }
    }

    private init(
        _ handle: UnsafeMutableRawPointer, _ name: String, _ path: String, _ copy: String, pins: Bool
    ) throws(PluginError) {
        guard let symbol = dlsym(handle, "martlet_plugin_entry") else {
            throw PluginError(
                .badPlugin, name,
                "\(path) is a library but no Martlet plugin: it does not export martlet_plugin_entry.")
        }
        guard let entry = cph_call_entry(symbol) else {
            throw PluginError(.badPlugin, name, "\(path) gives no plugin entry (martlet_plugin_entry returned NULL).")
        }
        try Self.check(entry, name, path)
        self.handle = handle
        self.name = name
        self.path = path
        self.entry = entry
        mappedPath = copy
        version = text(entry.pointee.version, limit: 64)
        description = text(entry.pointee.description, limit: 256)
        needs = names(entry.pointee.needs)
        after = names(entry.pointee.after).map(canonicalPluginName)
        if cph_image_needs(handle, "libswiftCore") {
            pinned = "it is linked to libswiftCore"
        } else if entry.pointee.flags & UInt32(MARTLET_PF_RESIDENT) != 0 {
            pinned = "it asks for it"
        } else {
            pinned = nil
        }
        if pins, pinned != nil { _ = cph_pin(copy) }
    }

    private static func check(_ entry: UnsafePointer<martlet_entry>, _ name: String, _ path: String) throws(PluginError)
    {
        let size = Int(entry.pointee.size)
        guard size >= MemoryLayout<martlet_entry>.size, size <= 4096 else {
            throw PluginError(
                .badPlugin, name,
                "\(path) describes itself in \(size) bytes where at least \(MemoryLayout<martlet_entry>.size) "
                    + "are due; build it against this broker's include/martlet."
            )
        }
        guard entry.pointee.abi_major == MARTLET_ABI_MAJOR else {
            throw PluginError(
                .badPlugin, name,
                "\(path) was built for plugin ABI \(entry.pointee.abi_major), this broker "
                    + "speaks ABI \(MARTLET_ABI_MAJOR); build it against this broker's include/martlet."
            )
        }
        if let missing = cph_entry_missing(entry) {
            throw PluginError(.badPlugin, name, "the entry of \(path) has no \(String(cString: missing)).")
        }
        let id = text(entry.pointee.id, limit: 64)
        guard id == name else {
            throw PluginError(
                .badPlugin, name, "\(path) holds the plugin \(id), not \(name); name the file \(id).so.")
        }
    }

    /// dlclose. True when the image is really gone.
    func close() -> Bool {
        guard let handle else { return true }
        self.handle = nil
        dlclose(handle)
        if let still = cph_dlopen_resident(mappedPath) {
            dlclose(still)
            return false
        }
        return !isMapped
    }

    private var isMapped: Bool {
        guard let maps = fopen("/proc/self/maps", "re") else { return false }
        defer { fclose(maps) }
        var line = [CChar](repeating: 0, count: 8192)
        while fgets(&line, Int32(line.count), maps) != nil {
            if strstr(line, mappedPath) != nil { return true }
        }
        return false
    }
}

private func text(_ pointer: UnsafePointer<CChar>, limit: Int) -> String {
    oneLine(UnsafeRawBufferPointer(start: pointer, count: strnlen(pointer, limit)), limit: limit)
}

private func names(_ list: UnsafePointer<UnsafePointer<CChar>?>?) -> [String] {
    var all: [String] = []
    while all.count < 64, let name = cph_list_at(list, all.count) { all.append(text(name, limit: 128)) }
    return all
}

/// The dynamic linker's message in words for people, and without the private copy's name.
private func explain(_ message: String, path: String, copy: String) -> String {
    let words = message.split(separator: ": ").map(String.init)
    if message.contains("cannot open shared object file"), let library = words.first, library != copy {
        return "\(path) needs the library \(library), which is not installed on this machine."
    }
    if let symbol = words.last, message.contains("undefined symbol") {
        return "\(path) uses the function \(symbol), which neither it nor a library it names contains."
    }
    if message.contains("version `"), message.contains("not found") {
        let parts = message.split(separator: "`").dropFirst().first?.split(separator: "'").first ?? "newer"
        return "\(path) was built on a newer system: it needs \(parts), which this machine's libraries do not have."
    }
    let clean = message.split(separator: copy, omittingEmptySubsequences: false).joined(separator: path)
    return "\(path) cannot be loaded: \(oneLine(clean.utf8, limit: 500))."
}
