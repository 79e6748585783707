// SPDX-License-Identifier: Apache-2.0
// Writes the files that are generated from the core's declarations into the source tree given as first argument.
import Config
import Glibc

guard CommandLine.arguments.count == 2 else {
    print("usage: generate_config SOURCE-TREE")
    exit(2)
}
for file in CoreFiles.all {
    let path = CommandLine.arguments[1] + "/" + file.path
    guard let stream = fopen(path, "w"), fputs(file.text, stream) >= 0, fclose(stream) == 0 else {
        perror(path)
        exit(1)
    }
    print("wrote \(file.path)")
}
