// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Shifts says what may make another request of one behind whoever judges it by its method, its target and the named header fields: a
// change of protocol, trailers, another method in a field or a parameter, a Connection that takes fields away, or a field that can be
// taken for one of the named. It is empty where nothing may, and fit to be told.
func Shifts(r *http.Request, named []string) (why string) {
	twin, name, twice := Twin(r.Header, named)
	switch override := Override(r); {
	case r.Header["Upgrade"] != nil || r.Method == http.MethodConnect:
		return "it changes the protocol of its connection"
	case len(r.Trailer) > 0:
		return ErrTrailers.Error()
	case override != "":
		return override + " may make another request of it"
	case Drops(r.Header):
		return "Connection may change the protocol, or take a field off it"
	case twice:
		return twin + " can be taken for " + name
	}
	return ""
}

// Errors of [TakeBody]. Any other is that the body did not arrive.
var (
	// ErrTooLarge says that a body is larger than whoever reads it, or the server, takes.
	ErrTooLarge = errors.New("the body is too large")
	// ErrTrailers says that fields came behind a body, which HTTP/1 does not always announce.
	ErrTrailers = errors.New("it has trailers")
)

// announced bounds how much room is made for a body that has only been announced, in bytes.
const announced = 16 << 10

// TakeBody reads the body of a request to its end, of at most limit bytes, and puts what it has read in its place: what is forwarded is
// what it returns, and nobody may change that.
func TakeBody(r *http.Request, limit int64) ([]byte, error) {
	body, err := bounded(r, limit)
	switch {
	case err != nil:
		return nil, err
	case len(r.Trailer) > 0: // HTTP/1 tells of those that were not announced at the end only
		return nil, ErrTrailers
	}
	sent := body.Bytes()
	if body.Available() > len(sent)/4+bytes.MinRead { // it may be held for minutes
		sent = bytes.Clone(sent)
	}
	replace(r, sent)
	return sent, nil
}

// bounded reads the body of a request to its end, or refuses it with [ErrTooLarge] where it has more than limit bytes.
func bounded(r *http.Request, limit int64) (body bytes.Buffer, err error) {
	switch {
	case r.ContentLength > limit:
		return body, ErrTooLarge
	case r.Body == nil || r.Body == http.NoBody:
		return body, nil
	}
	body.Grow(int(min(max(r.ContentLength, 0), announced)) + bytes.MinRead) // so that most grow once
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	var over *http.MaxBytesError
	switch {
	case n > limit || errors.As(err, &over):
		return body, ErrTooLarge
	case err != nil:
		return body, fmt.Errorf("reading the body: %w", err)
	}
	return body, nil
}

// replace gives a request a body of a known length.
func replace(r *http.Request, body []byte) {
	if r.Body != nil {
		_ = r.Body.Close() // it was read
	}
	r.Header.Del("Expect") // what it asked for has arrived
	r.TransferEncoding, r.ContentLength = nil, int64(len(body))
	if len(body) == 0 {
		r.Body = http.NoBody
		return
	}
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Body = io.NopCloser(bytes.NewReader(body))
}
