// SPDX-License-Identifier: Apache-2.0

package confirm

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"strings"
)

// Request is a request as a person is asked about it.
type Request struct {
	Method string
	// Origin is the scheme and the host, in lower case, that it was sent to.
	Origin string
	// Asked is the path and query that it came with, byte for byte.
	Asked string
	// Path and Query are what the upstream is going to get: the escaped path, and the query without its question mark.
	Path, Query string
	// Header returns the values of a header field, in their order.
	Header func(name string) []string
	Body   []byte
}

// Binding is what an approval is good for, each part as the SHA-256 of an encoding that no two requests share.
type Binding struct {
	Method string `json:"method"`
	Target string `json:"target"`
	Header string `json:"header"`
	Body   string `json:"body"`
}

// always are the header fields that say how a body is to be read. They are bound with it.
var always = []string{"Content-Encoding", "Content-Type"}

// Bound returns the names of the header fields that are bound, in lower case and in their order: those that are declared, and those
// that always are.
func Bound(declared []string) []string {
	names := slices.Concat(always, declared)
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Bind returns the binding of a request, with the header fields that are declared beside those that are always bound.
func Bind(r *Request, declared []string) Binding {
	fields := sha256.New()
	for _, name := range Bound(declared) {
		values := r.Header(name)
		write(fields, name)
		count(fields, len(values))
		write(fields, values...)
	}
	return Binding{
		Method: digest(r.Method), Target: digest(r.Origin, r.Asked, r.Path, r.Query), Header: sum(fields), Body: digest(string(r.Body)),
	}
}

// ContentDigest returns the digest of a body as a header field of RFC 9530, section 2, has it.
func ContentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// digest names a list of texts: lengths stand before them, so that no two lists are encoded in the same way.
func digest(texts ...string) string {
	h := sha256.New()
	write(h, texts...)
	return sum(h)
}

func write(h hash.Hash, texts ...string) {
	for _, text := range texts {
		count(h, len(text))
		_, _ = h.Write([]byte(text)) // a hash never fails
	}
}

func count(h hash.Hash, n int) {
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func sum(h hash.Hash) string { return base64.RawURLEncoding.EncodeToString(h.Sum(nil)) }
