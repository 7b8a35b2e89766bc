// SPDX-License-Identifier: Apache-2.0

package clientcert_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/clientcert"
)

func encode(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

func TestRFC9440(t *testing.T) {
	t.Parallel()
	now := time.Now()
	root := certtest.NewAuthority(t, "Root", now)
	below := root.Below(t, "Below", now)
	issued := below.Client(t, "client", now)
	own, between, top := encode(issued.Leaf.Raw), encode(below.Certificate.Raw), encode(root.Certificate.Raw)
	for _, test := range []struct {
		name       string
		own, chain []string
		want       int
		refused    string
	}{
		{"2 no fields", nil, nil, 0, ""},
		{"2.2 a certificate", []string{own}, nil, 1, ""},
		{"2.2 with space around it", []string{" " + own + "\t"}, nil, 1, ""},
		{"2.2 an empty one", []string{"::"}, nil, 0, ""},
		{"2.2 two lines", []string{own, own}, nil, 0, "stands twice"},
		{"2.2 a list", []string{own + ", " + own}, nil, 0, "no byte sequence"},
		{"2.1 without colons", []string{strings.Trim(own, ":")}, nil, 0, "no byte sequence"},
		{"2.1 one colon", []string{":"}, nil, 0, "no byte sequence"},
		{"2.1 nothing", []string{""}, nil, 0, "no byte sequence"},
		{"2.1 another alphabet", []string{":-_-_:"}, nil, 0, "no byte sequence"},
		{"2.1 bits that are left over", []string{":AB==:"}, nil, 0, "no byte sequence"},
		{"2.1 parameters", []string{own + ";a=1"}, nil, 0, "no byte sequence"},
		{"2.1 PEM, escaped", []string{"-----BEGIN%20CERTIFICATE-----%0A"}, nil, 0, "no byte sequence"},
		{"2.1 something else in DER", []string{encode([]byte{0x30, 0})}, nil, 0, "no certificate"},
		{"2.1 something behind it", []string{encode(append(issued.Leaf.Raw, 0))}, nil, 0, "no certificate"},
		{"2.1 too long", []string{encode(make([]byte, 16<<10))}, nil, 0, "too long"},
		{"2.3 a chain", []string{own}, []string{between + ", " + top}, 3, ""},
		{"2.3 a chain over two lines", []string{own}, []string{between, top}, 3, ""},
		{"2.3 a chain by itself", nil, []string{between}, 0, "without Client-Cert"},
		{"2.3 a chain of nobody", []string{"::"}, []string{between}, 0, "without Client-Cert"},
		{"2.3 an empty chain", []string{own}, []string{""}, 0, "no byte sequence"},
		{"2.3 a comma too many", []string{own}, []string{between + ","}, 0, "no byte sequence"},
		{"2.3 too many", []string{own}, []string{strings.TrimSuffix(strings.Repeat(between+",", 9), ",")}, 0, "too many"},
	} {
		header := http.Header{}
		if test.own != nil {
			header["Client-Cert"] = test.own
		}
		if test.chain != nil {
			header["Client-Cert-Chain"] = test.chain
		}
		got, err := clientcert.Read(header)
		if len(got) != test.want || (err != nil) != (test.refused != "") || err != nil && !strings.Contains(err.Error(), test.refused) {
			t.Errorf("%s: %d certificates, %v", test.name, len(got), err)
		}
		if len(got) > 0 && !got[0].Equal(issued.Leaf) {
			t.Errorf("%s: the first is of %s", test.name, got[0].Subject)
		}
	}
}

// FuzzRead: what is read is what stands there, and nothing beside it.
func FuzzRead(f *testing.F) {
	now := time.Now()
	issued := (*certtest.Authority)(nil).Client(f, "client", now)
	f.Add(encode(issued.Leaf.Raw), "")
	f.Add("::", encode(issued.Leaf.Raw))
	f.Add(encode(issued.Leaf.Raw), encode(issued.Leaf.Raw)+","+encode(issued.Leaf.Raw))
	f.Fuzz(func(t *testing.T, own, chain string) {
		header := http.Header{"Client-Cert": {own}}
		if chain != "" {
			header["Client-Cert-Chain"] = []string{chain}
		}
		got, err := clientcert.Read(header)
		if err != nil || len(got) == 0 {
			return
		}
		var written []string
		for _, c := range got {
			written = append(written, encode(c.Raw))
		}
		flat := strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "")
		if written[0] != flat.Replace(own) || strings.Join(written[1:], ",") != flat.Replace(chain) {
			t.Errorf("%q, %q are read as %q", own, chain, written)
		}
	})
}
