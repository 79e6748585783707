// SPDX-License-Identifier: Apache-2.0
// Where the fuzzers of this folder begin: files that libFuzzer reads at its start.

import Glibc

/// Writes a file for each seed and ends the program.
func writeSeeds(_ seeds: [[UInt8]], to directory: UnsafePointer<CChar>) -> Never {
    for (index, seed) in seeds.enumerated() {
        let path = "\(String(cString: directory))/seed-\(index)"
        guard let file = fopen(path, "w") else {
            perror(path)
            exit(1)
        }
        fwrite(seed, 1, seed.count, file)
        fclose(file)
    }
    print("\(seeds.count) seeds written.")
    exit(0)
}
