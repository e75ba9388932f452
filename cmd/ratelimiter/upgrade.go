package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
)

// An upgrade is the response to a request that wants another protocol, such as WebSocket's. Its
// connection ends with its context at the latest: neither the server nor ReverseProxy closes one
// whose client holds it open.
type upgrade struct {
	http.ResponseWriter
	ctx context.Context
}

// Hijack takes the connection from the server.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err == nil {
		context.AfterFunc(u.ctx, func() { conn.Close() })
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (u *upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }
