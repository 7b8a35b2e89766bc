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

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

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
	if name := httpx.Override(r); name != "" {
		return notConfirmable(name + " may make another request of it")
	}
	if httpx.Drops(r.Header) {
		return notConfirmable("Connection may change the protocol, or take a field off it that is confirmed")
	}
	return nil
}

// twins refuses a field that some upstream takes for one that is bound, in another spelling.
func twins(h http.Header, bound []string) *problem {
	if other, name, found := httpx.Twin(h, bound); found {
		return notConfirmable(other + " can be taken for " + name)
	}
	return nil
}

// streams reports whether an answer is expected that does not end, or a body that is answered while it is sent.
func streams(h http.Header) bool {
	for item := range httpx.Items(h["Accept"]) {
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
