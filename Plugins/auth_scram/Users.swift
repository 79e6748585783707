// SPDX-License-Identifier: Apache-2.0
import PluginKit

extension Credential: StoredSecret {}

/// Names are prepared.
typealias Users = UserTable<Credential>
