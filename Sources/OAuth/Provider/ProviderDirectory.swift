import FoundationEssentials
import JWTKit
import Logging

/// What is known of the provider: where its endpoints are, and its public keys. Read again now and then.
///
/// - Bounds: discovery and keys are kept for 10 minutes, and for an hour when the provider does not answer. A token with a
///   key id that is not known makes the keys be read again at once, but at most every 10 seconds, so that nobody makes us
///   hammer the provider with invented ids. Callers at the same moment share one request. At most 32 keys.
actor ProviderDirectory {
    static let freshFor = Duration.seconds(600)
    static let usableFor = Duration.seconds(3_600)
    static let keyPause = Duration.seconds(10)
    /// After a failure with something usable at hand, it is used this long before asking again.
    static let retryPause = Duration.seconds(10)
    static let maxKeys = 32

    private struct Kept<Value: Sendable>: Sendable {
        let value: Value
        let readAt: ContinuousClock.Instant
        var askAgainAt: ContinuousClock.Instant
    }

    private let configuration: OAuthConfiguration
    private let http: ProviderHTTP
    private let logger: Logger
    private var metadata: Kept<ProviderMetadata>?
    private var keys: Kept<ProviderKeys>?
    /// Until then, ids that are not known make nobody read the keys again.
    private var nextKeySearch = ContinuousClock.now
    private var reading: Task<ProviderMetadata, any Error>?
    private var readingKeys: Task<ProviderKeys, any Error>?

    init(configuration: OAuthConfiguration, http: ProviderHTTP, logger: Logger) {
        self.configuration = configuration
        self.http = http
        self.logger = logger
    }

    // MARK: Discovery

    func current() async throws -> ProviderMetadata {
        if let metadata, ContinuousClock.now < metadata.askAgainAt { return metadata.value }
        do {
            return try await read()
        } catch let error as OAuthError where error.isRetryable {
            guard var kept = metadata, ContinuousClock.now < kept.readAt + Self.usableFor else { throw error }
            kept.askAgainAt = .now + Self.retryPause
            metadata = kept
            return kept.value
        }
    }

    /// Asks the provider now, whatever is at hand: what the health report is made of.
    func read() async throws -> ProviderMetadata {
        if let reading { return try await reading.value }
        // Not a child task: every caller at this moment awaits the same one, and none may cancel it for the others. It
        // ends with the deadline of its request.
        let task = Task { try await Self.discover(configuration, http) }
        reading = task
        defer { reading = nil }
        let value = try await task.value
        metadata = Kept(value: value, readAt: .now, askAgainAt: .now + Self.freshFor)
        return value
    }

    private static func discover(_ configuration: OAuthConfiguration, _ http: ProviderHTTP) async throws
        -> ProviderMetadata
    {
        let answer = try await http.get(configuration.issuer + "/.well-known/openid-configuration")
        guard answer.isSuccess, let document = answer.json, document.object != nil else {
            return try ProviderMetadata(conventional: configuration)
        }
        return try ProviderMetadata(document: document, configuration: configuration)
    }

    // MARK: Keys

    /// The key of this id; nil if the provider has none.
    ///
    /// - Throws: ``OAuthError`` when it cannot be asked and what is at hand does not tell.
    func key(_ id: String, algorithm: String) async throws -> JWTKeyCollection? {
        if let keys, ContinuousClock.now < keys.askAgainAt, let key = try await keys.value.key(id, algorithm) {
            return key
        }
        return try await currentKeys(missing: id).key(id, algorithm)
    }

    private func currentKeys(missing id: String) async throws -> ProviderKeys {
        let now = ContinuousClock.now
        if let keys, now < keys.askAgainAt {
            guard !keys.value.has(id), now >= nextKeySearch else { return keys.value }
            nextKeySearch = now + Self.keyPause
        }
        do {
            return try await readKeys()
        } catch let error as OAuthError where error.isRetryable {
            guard var kept = keys, kept.value.has(id), ContinuousClock.now < kept.readAt + Self.usableFor else {
                throw error
            }
            kept.askAgainAt = .now + Self.retryPause
            keys = kept
            return kept.value
        }
    }

    private func readKeys() async throws -> ProviderKeys {
        if let readingKeys { return try await readingKeys.value }
        guard let url = try await current().endpoints[.jwks] else { return ProviderKeys([]) }
        // `current()` suspended: somebody may have begun meanwhile.
        if let readingKeys { return try await readingKeys.value }
        // As in `read()`.
        let task = Task { [http] in
            let answer = try await http.get(url)
            guard answer.isSuccess, case .array(let keys)? = answer.json?["keys"] else {
                throw OAuthError(.providerAway, "jwks: answered \(answer.status) or no key set")
            }
            return ProviderKeys(keys.prefix(Self.maxKeys))
        }
        readingKeys = task
        defer { readingKeys = nil }
        let value = try await task.value
        logger.debug("provider's keys read", metadata: ["count": "\(value.count)"])
        keys = Kept(value: value, readAt: .now, askAgainAt: .now + Self.freshFor)
        return value
    }
}

/// The public keys of a provider with which it signs.
///
/// - An algorithm is one of a list, fits the type of the key, and is the key's own if the key names one. Symmetric keys
///   and `none` are not on the list, so a token signed with a public key as if it were a secret meets no key at all
///   (RFC 8725, 2.1 and 3.1).
struct ProviderKeys: Sendable {
    /// By algorithm: the `kty` it needs.
    static let algorithms = [
        "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
        "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
    ]

    private let keys: [String: JSONValue]

    /// Keys for encryption, without an id, or of types that we do not know are left out; of two with one id, both.
    init(_ keys: some Sequence<JSONValue>) {
        var found: [String: JSONValue] = [:]
        var doubled: Set<String> = []
        for key in keys {
            guard let id = key["kid"]?.string, id.utf8.count <= 256, let type = key["kty"]?.string,
                Self.algorithms.values.contains(type), key["use"]?.string ?? "sig" == "sig"
            else { continue }
            if found.updateValue(key, forKey: id) != nil { doubled.insert(id) }
        }
        self.keys = found.filter { !doubled.contains($0.key) }
    }

    var count: Int { keys.count }

    func has(_ id: String) -> Bool { keys[id] != nil }

    /// In a collection of its own, so that nothing falls back to another key.
    func key(_ id: String, _ algorithm: String) async throws -> JWTKeyCollection? {
        guard case .object(var members)? = keys[id], Self.algorithms[algorithm] == members["kty"]?.string,
            members["alg"]?.string ?? algorithm == algorithm
        else { return nil }
        members["alg"] = .string(algorithm)
        // Only what verifying needs: whatever else the provider published stays out.
        members = members.filter { ["kid", "kty", "alg", "n", "e", "crv", "x", "y"].contains($0.key) }
        guard let jwk = try? JSONDecoder().decode(JWK.self, from: JSONEncoder().encode(members)) else { return nil }
        // A key that is too short or off its curve is refused here, and the token with it.
        return try? await JWTKeyCollection().add(jwk: jwk)
    }
}
