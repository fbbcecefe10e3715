import Foundation
import OAuth

extension Settings {
    /// Reads the settings of the provider; nil when there is none.
    ///
    /// - `EXTERNAL_AUTH_URL`: the issuer, https, or http on this machine and in development. Turns `/oauth/*` on
    /// - `EXTERNAL_AUTH_CLIENT_ID`, `EXTERNAL_AUTH_CLIENT_SECRET`: required with it; the latter secret
    /// - `EXTERNAL_AUTH_REDIRECT_URIS`: required with it in production; where browsers may come back to, comma-separated
    /// - `EXTERNAL_AUTH_LOGOUT_URIS` (unset): where they may go after signing out there
    /// - `EXTERNAL_AUTH_SCOPES` (openid profile email), `EXTERNAL_AUTH_GROUP` (unset), `EXTERNAL_AUTH_INTROSPECTION`
    ///   (opaque), `EXTERNAL_AUTH_ENDPOINTS` (what discovery says), `EXTERNAL_AUTH_ORIGINS` (the issuer's only)
    static func externalAuth(_ read: SettingsReader, _ environment: Environment) throws -> OAuthConfiguration? {
        guard let issuer = read.string("EXTERNAL_AUTH_URL") else {
            for name in ["EXTERNAL_AUTH_CLIENT_ID", "EXTERNAL_AUTH_CLIENT_SECRET"]
            where read.string(name, isSecret: true) != nil {
                throw SettingsError("EXTERNAL_AUTH_URL", "is not set, but \(name) is; set both or neither")
            }
            return nil
        }
        try requireAddress(issuer, "EXTERNAL_AUTH_URL", environment)
        guard !issuer.contains("?") else { throw SettingsError("EXTERNAL_AUTH_URL", "may have no query") }
        var configuration = OAuthConfiguration(
            issuer: issuer,
            clientID: try read.required("EXTERNAL_AUTH_CLIENT_ID", for: "Holdfast at the provider EXTERNAL_AUTH_URL"),
            clientSecret: try read.required(
                "EXTERNAL_AUTH_CLIENT_SECRET",
                for: "the secret of Holdfast at the provider"
            )
        )
        configuration.redirectURIs = list(read, "EXTERNAL_AUTH_REDIRECT_URIS")
        for uri in configuration.redirectURIs { try requireAddress(uri, "EXTERNAL_AUTH_REDIRECT_URIS", environment) }
        if environment == .production, configuration.redirectURIs.isEmpty {
            throw SettingsError(
                "EXTERNAL_AUTH_REDIRECT_URIS",
                "is not set; in production it lists where browsers may come back to, as registered at the provider"
            )
        }
        configuration.postLogoutRedirectURIs = list(read, "EXTERNAL_AUTH_LOGOUT_URIS")
        for uri in configuration.postLogoutRedirectURIs {
            try requireAddress(uri, "EXTERNAL_AUTH_LOGOUT_URIS", environment)
        }
        configuration.scopes = read.string("EXTERNAL_AUTH_SCOPES") ?? configuration.scopes
        configuration.requiredGroup = read.string("EXTERNAL_AUTH_GROUP")
        configuration.introspection = try read.choice("EXTERNAL_AUTH_INTROSPECTION", default: .opaque)
        configuration.endpoints = try endpoints(read)
        for text in list(read, "EXTERNAL_AUTH_ORIGINS") {
            try requireAddress(text, "EXTERNAL_AUTH_ORIGINS", environment)
            guard let origin = WebOrigin(of: text), origin.text == text.lowercased() else {
                throw SettingsError("EXTERNAL_AUTH_ORIGINS", "has '\(text)'; write origins like https://keys.example")
            }
            configuration.otherOrigins.insert(origin.text)
        }
        return configuration
    }

    private static func list(_ read: SettingsReader, _ name: String) -> [String] {
        (read.string(name) ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
    }

    private static func requireAddress(_ text: String, _ name: String, _ environment: Environment) throws {
        guard let origin = WebOrigin(of: text) else {
            throw SettingsError(name, "has '\(text)'; it must be an address like https://login.example/path")
        }
        guard origin.isSecure || origin.isLoopback || environment == .development else {
            throw SettingsError(name, "has '\(text)'; in production it must be https")
        }
    }

    private static func endpoints(_ read: SettingsReader) throws -> [ProviderEndpoint: String] {
        var endpoints: [ProviderEndpoint: String] = [:]
        for entry in list(read, "EXTERNAL_AUTH_ENDPOINTS") {
            let parts = entry.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2, let endpoint = ProviderEndpoint(rawValue: parts[0]),
                parts[1].hasPrefix("/") || WebOrigin(of: parts[1]) != nil
            else {
                let names = ProviderEndpoint.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingsError(
                    "EXTERNAL_AUTH_ENDPOINTS",
                    "has '\(entry)'; write NAME=/path or NAME=https://…, NAME one of \(names)"
                )
            }
            endpoints[endpoint] = parts[1]
        }
        return endpoints
    }
}
