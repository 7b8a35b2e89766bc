// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// overrides are the fields by which some upstreams take a request for one of another method or target.
var overrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
}

// check refuses what cannot be bound to an approval.
func check(r *http.Request) *problem {
	upgrade := r.Header["Upgrade"] != nil || hasToken(r.Header["Connection"], "upgrade") || r.Method == http.MethodConnect
	switch {
	case upgrade:
		return notConfirmable("a connection that changes its protocol cannot be confirmed")
	case streams(r.Header):
		return notConfirmable("a stream cannot be confirmed")
	case r.Method == http.MethodTrace || r.Method == http.MethodOptions:
		return notConfirmable("a request with this method is not confirmed")
	case len(r.Trailer) > 0:
		return notConfirmable("a request with trailers cannot be confirmed")
	}
	for _, name := range overrides {
		if r.Header[name] != nil {
			return notConfirmable(name + " may make another request of it")
		}
	}
	return nil
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// streams reports whether an answer is expected that does not end, or a body that is answered while it is sent.
func streams(h http.Header) bool {
	for _, line := range h["Accept"] {
		for item := range strings.SplitSeq(line, ",") {
			if t, _, err := mime.ParseMediaType(item); err == nil && t == "text/event-stream" {
				return true
			}
		}
	}
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/grpc" || strings.HasPrefix(t, "application/grpc+"))
}

// read takes the body off a request, up to a limit, and puts what it has read in its place: what is forwarded is what is bound.
func read(r *http.Request, limit int64) ([]byte, *problem) {
	tooLarge := &problem{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Detail: "a request with a body of more than " +
		strconv.FormatInt(limit, 10) + " bytes cannot be confirmed"}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	var body bytes.Buffer
	if r.Body != nil && r.Body != http.NoBody {
		body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // so that it grows once
		n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
		var over *http.MaxBytesError
		switch {
		case n > limit || errors.As(err, &over):
			return nil, tooLarge
		case err != nil:
			return nil, &problem{Status: http.StatusBadRequest, Code: codeIncomplete, Detail: "the body did not arrive", cause: fmt.Errorf("reading the body: %w", err)}
		case len(r.Trailer) > 0: // HTTP/1 tells of those that were not announced at the end only
			return nil, notConfirmable("a request with trailers cannot be confirmed")
		}
	}
	sent := body.Bytes()
	if body.Available() > len(sent)/4+bytes.MinRead { // it may be held for minutes
		sent = bytes.Clone(sent)
	}
	replace(r, sent)
	return sent, nil
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
