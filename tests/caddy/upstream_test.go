// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// upstream is behind the gate. It tells what it was asked, byte for byte.
type upstream struct{ *httptest.Server }

// heard is what the upstream was asked.
type heard struct {
	Method  string
	URI     string
	Host    string
	Header  http.Header
	Trailer http.Header
	Sum     string
}

func newUpstream() *upstream {
	return &upstream{httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch { // a mux would redirect paths that are not clean
		case r.Header.Get("Upgrade") != "":
			socket(w, r)
		case r.URL.Query().Has("bytes"):
			stream(w, r)
		default:
			echo(w, r)
		}
	}))}
}

func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Upstream", "yes")
	_ = json.NewEncoder(w).Encode(heard{ // the client has gone
		Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header, Trailer: r.Trailer, Sum: hex.EncodeToString(sum.Sum(nil)),
	})
}

// stream sends many bytes, a few at a time.
func stream(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.CopyN(w, new(pattern), n) // the client has gone
}

// pattern is an endless stream that does not compress, the same however it is read.
type pattern struct{ at int }

func (p *pattern) Read(into []byte) (int, error) {
	for i := range into {
		n := p.at + i
		into[i] = byte(n*7 + n>>8)
	}
	p.at += len(into)
	return len(into), nil
}

// socket changes the protocol, and then says everything it hears once more.
func socket(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = connection.Close() }() // there is nothing left to say
	subject := r.Header.Get("Gatehouse-Subject")
	_, err = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+
		r.Header.Get("Upgrade")+"\r\nX-Heard: "+subject+"\r\n\r\n")
	if err != nil {
		return
	}
	scanner := bufio.NewScanner(buffered)
	for scanner.Scan() {
		if _, err := io.WriteString(connection, "echo "+scanner.Text()+"\n"); err != nil {
			return
		}
	}
}
