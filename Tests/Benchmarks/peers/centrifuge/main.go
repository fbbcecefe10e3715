// A peer of the benchmark: the same rooms and events on the Go library Centrifuge, after its own examples.
//
// JSON protocol over WebSocket. The connect command carries an HS256 JWT when --jwt-secret is given. With --redis
// publications travel through Redis Pub/Sub, so that several of these are one.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/centrifugal/centrifuge"
	"github.com/golang-jwt/jwt"
)

var (
	port   = flag.Int("port", 0, "port on 127.0.0.1")
	secret = flag.String("jwt-secret", "", "ask for an HS256 JWT signed with this")
	store  = flag.String("redis", "", "host:port of the Redis that joins several of these")
)

func verify(token string) (string, error) {
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (interface{}, error) {
		return []byte(*secret), nil
	}, jwt.WithValidMethods([]string{"HS256"}))
	return claims.Subject, err
}

func connecting(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	user := ""
	if *secret != "" {
		var err error
		if user, err = verify(e.Token); err != nil {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
	}
	return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: user}}, nil
}

func connected(client *centrifuge.Client) {
	client.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
		done(centrifuge.SubscribeReply{}, nil)
	})
	client.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) {
		done(centrifuge.PublishReply{}, nil)
	})
	client.OnRPC(func(_ centrifuge.RPCEvent, done centrifuge.RPCCallback) {
		done(centrifuge.RPCReply{Data: []byte(`{"ok":true}`)}, nil)
	})
}

func useRedis(node *centrifuge.Node) error {
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: *store})
	if err != nil {
		return err
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Shards: []*centrifuge.RedisShard{shard}})
	if err != nil {
		return err
	}
	node.SetBroker(broker)
	return nil
}

func main() {
	flag.Parse()
	node, err := centrifuge.New(centrifuge.DefaultConfig)
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(connecting)
	node.OnConnect(connected)
	if *store != "" {
		if err := useRedis(node); err != nil {
			log.Fatal(err)
		}
	}
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	settings := centrifuge.WebsocketConfig{ReadBufferSize: 1024, UseWriteBufferPool: true}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, settings))
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}
