// SPDX-License-Identifier: Apache-2.0
import CReactor
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

    /// [main] Reads the files of a listener's profile; `scope` keeps the sessions of listeners apart. nil: it has none.
    func listening(
        _ name: String, scope: String, loops: Int, isDatagram: Bool = false
    ) throws(RegistrationError) -> ListenerProfile? {
        guard !name.isEmpty else { return nil }
        var options = try find(name).server
        options.isDatagram = isDatagram
        let wanted = options
        return try ListenerProfile(loops: loops) { [self] () throws(RegistrationError) in try make(name, wanted, scope)
        }
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

    /// [main] A plugin is about to start, or somebody asks for it: what it connects with is read again.
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

/// The TLS of one client of a plugin's listener.
final class ProfileTLS: TLSLayer, @unchecked Sendable {
    private let profile: ListenerProfile

    init(_ profile: ListenerProfile) {
        self.profile = profile
        super.init(nil)
    }

    override func currentContext() -> TLSContext? { profile.context }
    override func handshakePlaces() -> Handshakes? { profile.ownHandshakes }
}

/// The TLS of one listener: the generation of certificates in force, and the handshakes under way.
final class ListenerProfile: Sendable {
    /// Handshakes at a time, of about 45 KB each; as of listeners for MQTT.
    private static let maxHandshakes = 4096
    /// Of each loop.
    private let handshakes: [Handshakes]
    private let read: @Sendable () throws(RegistrationError) -> TLSContext
    private let current: Mutex<TLSContext>

    init(loops: Int, _ read: @escaping @Sendable () throws(RegistrationError) -> TLSContext) throws(RegistrationError) {
        handshakes = (0..<loops).map { _ in Handshakes(limit: max(1, Self.maxHandshakes / loops)) }
        self.read = read
        current = Mutex(try read())
    }

    /// [loop] Those of the loop this is called on.
    var ownHandshakes: Handshakes { handshakes[Int(cr_current_loop())] }

    /// [any] For who comes now.
    var context: TLSContext { current.withLock { $0 } }

    /// [main] Reads the files again. Who is connected keeps what it has; on a throw nothing changes.
    func reload() throws(RegistrationError) {
        let context = try read()
        current.withLock { $0 = context }
    }
}

extension String {
    /// Somebody else ends the sentence.
    fileprivate var droppingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
