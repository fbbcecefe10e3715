// SocketIOClient
