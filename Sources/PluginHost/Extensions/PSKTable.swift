// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.psk/1
nonisolated(unsafe) let pskTable = permanent(
    martlet_psk_v1(
        size: size(of: martlet_psk_v1.self),
        add: { host, priority, function, user, out in
            registering(host, "psk.add", out) { instance throws(RegistrationError) in
                try addToChain(instance, function, user, priority, []) { $0.psk.append($1) }
            }
        }))
