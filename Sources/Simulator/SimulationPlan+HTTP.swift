package import AsyncHTTPClient
import NIOCore
import NIOSSL

// How the servers are spoken to.

extension SimulationPlan {
    /// Whose certificates are believed, for `https`.
    var tls: TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let certificates { tls.trustRoots = .file(certificates) }
        return tls
    }

    package var http: HTTPClient.Configuration {
        var settings = HTTPClient.Configuration()
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = HTTPCalls.mostUnderWay
        settings.connectionPool.idleTimeout = .seconds(30)
        settings.timeout.connect = .init(self.patience)
        settings.redirectConfiguration = .disallow
        settings.tlsConfiguration = self.tls
        return settings
    }
}
