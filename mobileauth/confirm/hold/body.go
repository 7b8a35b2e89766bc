// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// hopByHop are the options of Connection that take no field away which an approval speaks of (RFC 9110, section 7.6.1).
var hopByHop = []string{"", "close", "keep-alive", "te", "proxy-connection"}

// items returns what the lists of a field hold, in their order (RFC 9110, section 5.6.1).
func items(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for item := range strings.SplitSeq(line, ",") {
				if !yield(strings.TrimSpace(item)) {
					return
				}
			}
		}
	}
}

// dropped reports whether a proxy behind us would take a field off the request, or change the protocol.
func dropped(h http.Header) bool {
	for option := range items(h["Connection"]) {
		if !slices.Contains(hopByHop, strings.ToLower(option)) {
			return true
		}
	}
	return false
}

// check refuses what cannot be bound to an approval.
func check(r *http.Request) *problem {
	switch {
	case r.Header["Upgrade"] != nil || r.Method == http.MethodConnect:
		return notConfirmable("a connection that changes its protocol cannot be confirmed")
	case streams(r.Header):
		return notConfirmable("a stream cannot be confirmed")
	case r.Method == http.MethodTrace || r.Method == http.MethodOptions:
		return notConfirmable("a request with this method is not confirmed")
	case len(r.Trailer) > 0:
		return notConfirmable("a request with trailers cannot be confirmed")
	}
	if name := httpx.Override(r.Header); name != "" {
		return notConfirmable(name + " may make another request of it")
	}
	if dropped(r.Header) {
		return notConfirmable("Connection may change the protocol, or take a field off it that is confirmed")
	}
	return nil
}

// twins refuses a field that some upstream takes for one that is bound, in another spelling.
func twins(h http.Header, bound []string) *problem {
	folded := make([]string, len(bound))
	for i, name := range bound {
		folded[i] = httpx.Fold(name)
	}
	for other := range h {
		form := httpx.Fold(other)
		for i, name := range bound {
			if form == folded[i] && other != http.CanonicalHeaderKey(name) {
				return notConfirmable(other + " can be taken for " + name)
			}
		}
	}
	return nil
}

// streams reports whether an answer is expected that does not end, or a body that is answered while it is sent.
func streams(h http.Header) bool {
	for item := range items(h["Accept"]) {
		if t, _, err := mime.ParseMediaType(item); err == nil && t == "text/event-stream" {
			return true
		}
	}
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/grpc" || strings.HasPrefix(t, "application/grpc+"))
}

// announced bounds how much room is made for a body that has only been announced, in bytes.
const announced = 16 << 10

// read takes the body off a request, up to a limit, and puts what it has read in its place: what is forwarded is what is bound.
func read(r *http.Request, limit int64) ([]byte, *problem) {
	tooLarge := &problem{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Detail: "a request with a body of more than " +
		strconv.FormatInt(limit, 10) + " bytes cannot be confirmed"}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	var body bytes.Buffer
	if r.Body != nil && r.Body != http.NoBody {
		body.Grow(int(min(max(r.ContentLength, 0), announced)) + bytes.MinRead) // so that most grow once
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
