// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The folder of what must survive a restart.
enum DataFolder {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Takes the folder for this process until it ends, before anything in it is read: two brokers would each write
    /// over what the other one keeps there.
    static func take(_ folder: String) throws(Failure) {
        let file = open(folder + "/broker.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw Failure(
                description: "the data folder \(folder) cannot be written to: \(String(cString: strerror(errno))).")
        }
        // File systems without locks leave this to the ctl socket. A broker that was killed may take a moment to be gone.
        var attempts = 0
        while flock(file, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            attempts += 1
            if attempts == 20 {
                throw Failure(
                    description: "another broker keeps its data in \(folder); stop it first or set node.data_dir.")
            }
            usleep(50_000)
        }
    }
}
