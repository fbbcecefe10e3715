// SocketIORedis
