// SPDX-License-Identifier: Apache-2.0

// What Go's net/http reads. One JSON object a line on stdin, one on stdout:
//
//	{"data": bytes, "reset": bool}       as a server: requests
//	{..., "methods": [...]}              as a client: the responses to these
//
// -> {"messages": [...], "error": why it stopped, or ""}
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

type fields map[string][][]byte

type message struct {
	Method  string `json:"method"`
	Target  string `json:"target"`
	Host    string `json:"host"`
	Status  int    `json:"status"`
	Fields  fields `json:"fields"`
	Body    []byte `json:"body"`
	failure string
}

type question struct {
	Data    []byte   `json:"data"`
	Methods []string `json:"methods"`
	Reset   bool     `json:"reset"`
}

type answer struct {
	Messages []message `json:"messages"`
	Error    string    `json:"error"`
}

func fieldsOf(header http.Header) fields {
	all := fields{}
	for name, values := range header {
		for _, value := range values {
			all[name] = append(all[name], []byte(value))
		}
	}
	return all
}

// A connection that has the bytes of a question to read.
type replay struct {
	in      *bytes.Reader
	out     bytes.Buffer
	seen    []message
	closed  chan struct{}
	isReset bool
}

var errReset = errors.New("connection reset by peer")

func (c *replay) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if err == io.EOF && c.isReset {
		err = errReset
	}
	return n, err
}
func (c *replay) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *replay) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}
func (c *replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *replay) SetDeadline(time.Time) error      { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }

// A listener that accepts what is put into it.
type source chan net.Conn

func (s source) Accept() (net.Conn, error) { return <-s, nil }
func (s source) Close() error              { return nil }
func (s source) Addr() net.Addr            { return &net.TCPAddr{} }

var current *replay // one at a time

func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m := message{Method: r.Method, Target: r.RequestURI, Host: r.Host, Body: body,
		Fields: fieldsOf(r.Header)}
	if err != nil {
		m.failure = err.Error()
	}
	current.seen = append(current.seen, m)
	if r.Method == "CONNECT" {
		w.WriteHeader(405)
	}
}

func readRequests(conns source, q question) answer {
	c := &replay{in: bytes.NewReader(q.Data), isReset: q.Reset, closed: make(chan struct{})}
	current = c
	conns <- c
	<-c.closed
	result := answer{Messages: []message{}}
	for _, m := range c.seen {
		if m.failure != "" {
			result.Error = m.failure
			return result
		}
		result.Messages = append(result.Messages, m)
	}
	for _, line := range strings.Split(c.out.String(), "\r\n") {
		if strings.HasPrefix(line, "HTTP/1.1 4") && !strings.HasPrefix(line, "HTTP/1.1 405") ||
			strings.HasPrefix(line, "HTTP/1.1 5") {
			parts := strings.Split(c.out.String(), "\r\n\r\n")
			result.Error = line + " " + parts[len(parts)-1]
			break
		}
	}
	if result.Error == "" && (strings.Contains(c.out.String(), "\r\nConnection: close\r\n") ||
		strings.Contains(c.out.String(), "HTTP/1.0 200")) {
		result.Error = "closes before the end"
	}
	return result
}

func readResponses(q question) answer {
	in := bufio.NewReader(&replay{in: bytes.NewReader(q.Data), isReset: q.Reset})
	result := answer{Messages: []message{}}
	for _, method := range q.Methods {
		var r *http.Response
		var err error
		for { // net/http's client passes over interim responses too
			r, err = http.ReadResponse(in, &http.Request{Method: method})
			if err != nil || r.StatusCode >= 200 || r.StatusCode == 101 {
				break
			}
		}
		if err != nil {
			result.Error = err.Error()
			break
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			result.Error = err.Error()
			break
		}
		result.Messages = append(result.Messages, message{Status: r.StatusCode,
			Body: body, Fields: fieldsOf(r.Header)})
		if r.Close {
			break
		}
	}
	return result
}

func main() {
	log.SetOutput(io.Discard)
	conns := make(source)
	server := &http.Server{Handler: http.HandlerFunc(handle), MaxHeaderBytes: 1 << 20}
	go server.Serve(conns)
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var q question
		if in.Decode(&q) != nil {
			return
		}
		if q.Methods == nil {
			out.Encode(readRequests(conns, q))
		} else {
			out.Encode(readResponses(q))
		}
	}
}
