// SPDX-License-Identifier: Apache-2.0

package pgp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew, with other keys")

const vectorFile = "testdata/vectors.json"

// vectors are messages from a phone to the server and back, good and bad, under keys of both versions.
type vectors struct {
	About    string                    `json:"about"`
	Now      int64                     `json:"now"`
	Keys     map[string]envelope.Bytes `json:"keys"`
	Messages []vector                  `json:"messages"`
}

type vector struct {
	Name    string         `json:"name"`
	From    string         `json:"from"`
	To      string         `json:"to"`
	Message envelope.Bytes `json:"message"`
	Good    bool           `json:"good"`
	Text    string         `json:"text,omitempty"`
}

const wait = `{"wait":30}`

func makeVectors(tb testing.TB) vectors {
	tb.Helper()
	v := vectors{
		About: "OpenPGP messages of the device protocol, version 1. Keys are binary, private and for tests only.",
		Now:   noon.Unix(), Keys: make(map[string]envelope.Bytes),
	}
	keys := make(map[string]pgp.PrivateKey)
	for name, version := range map[string]pgp.Version{"device6": pgp.V6, "server6": pgp.V6, "stranger6": pgp.V6, "device4": pgp.V4, "server4": pgp.V4} {
		keys[name] = newKey(tb, version)
		v.Keys[name] = marshal(tb, keys[name])
	}
	good := func(name, from, to string) {
		v.Messages = append(v.Messages, vector{Name: name, From: from, To: to, Message: mustSeal(tb, wait, keys[from], keys[to].Public()), Good: true, Text: wait})
	}
	good("of a phone", "device6", "server6")
	good("to a phone", "server6", "device6")
	good("of a phone, version 4", "device4", "server4")
	good("to a phone, version 4", "server4", "device4")
	bad := func(name string, message []byte) {
		v.Messages = append(v.Messages, vector{Name: name, From: "device6", To: "server6", Message: message})
	}
	one := func(name string) []*openpgp.Entity { return []*openpgp.Entity{entity(tb, keys[name])} }
	whole := mustSeal(tb, wait, keys["device6"], keys["server6"].Public())
	altered := bytes.Clone(whole)
	altered[len(altered)-5] ^= 1
	bad("not signed", library{to: one("server6")}.message(tb, wait))
	bad("of a stranger", mustSeal(tb, wait, keys["stranger6"], keys["server6"].Public()))
	bad("for a stranger", mustSeal(tb, wait, keys["device6"], keys["stranger6"].Public()))
	bad("altered", altered)
	bad("cut", whole[:len(whole)-20])
	return v
}

func TestVectors(t *testing.T) {
	t.Parallel()
	if *update {
		data, err := json.MarshalIndent(makeVectors(t), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, set := range []vectors{v, makeVectors(t)} {
		for _, m := range set.Messages {
			to, err := pgp.ParsePrivate(set.Keys[m.To])
			if err != nil {
				t.Fatal(err)
			}
			from, err := pgp.ParsePrivate(set.Keys[m.From])
			if err != nil {
				t.Fatal(err)
			}
			text, err := pgp.Open(m.Message, to, from.Public(), noon)
			if (err == nil) != m.Good || string(text) != m.Text {
				t.Errorf("%s: %q, %v", m.Name, text, err)
			}
		}
	}
	if fresh := makeVectors(t); len(fresh.Messages) != len(v.Messages) || fresh.Now != v.Now {
		t.Errorf("%s is not what the code writes; go test ./mobileauth/envelope/pgp -update", vectorFile)
	}
}
