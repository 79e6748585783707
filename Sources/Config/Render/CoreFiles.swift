// SPDX-License-Identifier: Apache-2.0

/// The two files generated from the core's declarations, with their paths in the source tree.
public enum CoreFiles {
    public static let conf = (
        path: "etc/martlet.conf",
        text: renderConf(CoreKeys.all, title: "Martlet's configuration.", notes: CoreKeys.notes)
    )

    public static let reference = (
        path: "docs/config.md",
        text: renderMarkdown(CoreKeys.all, title: "Configuration reference", intro: intro, notes: CoreKeys.notes)
    )

    public static let all = [conf, reference]

    private static let intro = #"""
        Every key of `etc/martlet.conf`, generated from the declarations in `Sources/Config/Keys` by
        `tools/generate-config`. A `*` in a key stands for a name of your choice. Keys take effect at the next start
        unless they say otherwise. Relative paths start at the install root.

        A file is `key = value` lines; `#` begins a comment line; a value may stand in double quotes, in which `\"` and
        `\\` mean `"` and `\`. Durations are `100ms 20s 5m 2h 1d 2w` or combined as `1h30m`, a bare number counts
        seconds; sizes are `64KB 1MB 2GB` in powers of 1024.

        Environment variables win over the file: `MARTLET__MQTT__MAX_PACKET_SIZE` sets `mqtt.max_packet_size` (two
        underscores for a dot), and `MARTLET_NODE_NAME` sets `node.name` where that can mean only one key.
        """#
}
