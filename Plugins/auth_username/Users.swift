// SPDX-License-Identifier: Apache-2.0
import PluginKit

extension PasswordHash: StoredSecret {}

typealias Users = UserTable<PasswordHash>
