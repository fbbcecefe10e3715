import NIOCore
import NIOPosix
import NIOSSL

/// A connection that is signed in and waits for its receiver.
struct ConnectedChannel: Sendable {
    let channel: any Channel
    let handler: NIOLoopBound<RESPChannelHandler>
    let endpoint: RedisEndpoint
    let replicationID: String?
}

/// Makes connections: address, TCP, TLS, sign-in.
struct RedisConnector: Sendable {
    let configuration: RedisConfiguration
    let topology: any RedisTopology
    let purpose: Handshake.Purpose
    private let tls: NIOSSLContext?
    /// Why TLS cannot work at all, such as an unreadable file of authorities.
    private let tlsFailure: RedisError?

    init(_ configuration: RedisConfiguration, topology: any RedisTopology, purpose: Handshake.Purpose) {
        self.configuration = configuration
        self.topology = topology
        self.purpose = purpose
        guard configuration.usesTLS else {
            (tls, tlsFailure) = (nil, nil)
            return
        }
        var settings = TLSConfiguration.makeClientConfiguration()
        if let file = configuration.trustedCertificatesFile { settings.trustRoots = .file(file) }
        do {
            (tls, tlsFailure) = (try NIOSSLContext(configuration: settings), nil)
        } catch {
            let message = "TLS to Redis could not be set up; look at the file of trusted certificates"
            (tls, tlsFailure) = (nil, RedisError(.invalidConfiguration, message, underlying: error))
        }
    }

    func connect(on loop: any EventLoop, limits: RESPReader.Limits) async throws(RedisError) -> ConnectedChannel {
        if let tlsFailure { throw tlsFailure }
        let endpoint = try await topology.endpoint()
        do {
            return try await open(endpoint, on: loop, limits: limits)
        } catch let error as RedisError {
            throw error
        } catch {
            throw RedisError(.connection, "no connection to Redis could be made", underlying: error)
        }
    }

    private func open(
        _ endpoint: RedisEndpoint,
        on loop: any EventLoop,
        limits: RESPReader.Limits
    ) async throws -> ConnectedChannel {
        let ready = loop.makePromise(of: String?.self)
        let made = loop.makePromise(of: NIOLoopBound<RESPChannelHandler>.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { [configuration, purpose, tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(Self.tlsHandler(tls, endpoint.host)) }
                    let handler = RESPChannelHandler(
                        configuration: configuration,
                        purpose: purpose,
                        limits: limits,
                        ready: ready
                    )
                    try pipeline.addHandler(handler)
                    made.succeed(NIOLoopBound(handler, eventLoop: channel.eventLoop))
                }
            }
        do {
            let channel = try await bootstrap.connect(host: endpoint.host, port: endpoint.port).get()
            let handler = try await made.futureResult.get()
            let replicationID = try await ready.futureResult.get()
            return ConnectedChannel(
                channel: channel,
                handler: handler,
                endpoint: endpoint,
                replicationID: replicationID
            )
        } catch {
            // Whichever step failed, no promise may be left open; to fail one twice does nothing.
            made.fail(error)
            ready.fail(error)
            throw error
        }
    }

    /// A name goes into the handshake and is checked against the certificate; an address is checked by itself, and must
    /// not be sent as a name.
    private static func tlsHandler(_ context: NIOSSLContext, _ host: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }
}
