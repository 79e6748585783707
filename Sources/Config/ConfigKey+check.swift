// SPDX-License-Identifier: Apache-2.0

extension ConfigKey {
    /// Whether the default, if there is one, is a valid value: declarations of plugins come from outside and must not
    /// be trusted to agree with themselves.
    public var acceptsItsDefault: Bool { defaultText.map { scalar(of: $0) != nil } ?? true }
}
