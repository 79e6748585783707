// SPDX-License-Identifier: Apache-2.0
import Reactor
import Sockets
import Synchronization
public import TLS

/// One set of TLS options, for both directions.
public struct TLSProfile: Sendable {
    public var server: TLSOptions
    public var client: TLSOptions

    public init(server: TLSOptions, client: TLSOptions) {
        self.server = server
        self.client = client
    }
}

/// The TLS that plugins may name: `tls.NAME.*`.
public final class TLSProfiles: Sendable {
    private let profiles: [String: TLSProfile]
    private let keys: TLSContext.KeyLookup?
    /// Of plugins that connect, each read once until a plugin is loaded.
    private let clients = Mutex<[String: TLSContext]>([:])

    /// - Parameter keys: the shared keys of clients; nil: there are none.
    public init(_ profiles: [String: TLSProfile] = [:], keys: TLSContext.KeyLookup? = nil) {
        self.profiles = profiles
        self.keys = keys
    }

    /// [main] Reads the files of a listener's profile. Its connections begin with what they say now.
    func listening(_ name: String, scope: String) throws(RegistrationError) -> @Sendable () -> LayerStack? {
        let profile = try find(name)
        let context = try make(name, profile.server, scope)
        return { LayerStack([TLSLayer(context)]) }
    }

    /// [main] The same for a UDP listener: DTLS.
    func listeningForDatagrams(_ name: String, scope: String) throws(RegistrationError) -> TLSContext {
        var options = try find(name).server
        options.isDatagram = true
        return try make(name, options, scope)
    }

    /// [any] For a connection to `host`.
    func connecting(_ name: String, host: String) throws(RegistrationError) -> @Sendable () -> LayerStack? {
        let profile = try find(name)
        let context: TLSContext
        if let known = clients.withLock({ $0[name] }) {
            context = known
        } else {
            context = try make(name, profile.client, "")
            clients.withLock { $0[name] = context }
        }
        return { LayerStack([TLSLayer(context, host: host)]) }
    }

    /// [main] A plugin is about to start: what it connects with is read again.
    func forget() { clients.withLock { $0 = [:] } }

    private func find(_ name: String) throws(RegistrationError) -> TLSProfile {
        guard let profile = profiles[name] else {
            throw RegistrationError(
                statusNotFound, "there is no TLS profile \(name): set tls.\(name).certfile and others")
        }
        return profile
    }

    private func make(
        _ name: String, _ options: TLSOptions, _ scope: String
    ) throws(RegistrationError) -> TLSContext {
        if options.role == .server, options.certificate == nil, options.sharedKeys != .only {
            throw RegistrationError(statusInvalid, "the TLS profile \(name) has no tls.\(name).certfile")
        }
        do throws(TLSError) {
            return try TLSContext(options, scope: scope, keys: options.role == .server ? keys : nil)
        } catch {
            throw RegistrationError(statusInvalid, "the TLS profile \(name): \(error.description.droppingFullStop)")
        }
    }
}

extension String {
    /// Somebody else ends the sentence.
    fileprivate var droppingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
