// SPDX-License-Identifier: Apache-2.0

/// The broker: its loops, the table of filters, the registry of client ids, the chains.
public final class Broker: @unchecked Sendable {
}
