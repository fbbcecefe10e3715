@main struct SocketIOFixture { static func main() {} }
