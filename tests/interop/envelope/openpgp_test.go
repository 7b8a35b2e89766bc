// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

const pgpFile = "../../../mobileauth/envelope/pgp/testdata/vectors.json"

// OpenPGP.js agrees on every vector, and we open what it says, in both versions of keys.
func TestOpenPGPJS(t *testing.T) {
	t.Parallel()
	install(t)
	data, err := os.ReadFile(pgpFile)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Now      int64                     `json:"now"`
		Keys     map[string]envelope.Bytes `json:"keys"`
		Messages []json.RawMessage         `json:"messages"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	said := new(strings.Builder)
	c := exec.CommandContext(t.Context(), "node", "pgp.mjs", pgpFile)
	c.Stderr = said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, said)
	}
	var r struct {
		Checked  int      `json:"checked"`
		Failures []string `json:"failures"`
		Made     []struct {
			From    string         `json:"from"`
			To      string         `json:"to"`
			Message envelope.Bytes `json:"message"`
		} `json:"made"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		t.Error(f)
	}
	if r.Checked != len(v.Messages) || r.Checked == 0 || len(r.Made) != 4 {
		t.Errorf("%d of %d vectors were checked, %d messages made", r.Checked, len(v.Messages), len(r.Made))
	}
	for _, m := range r.Made {
		to, err := pgp.ParsePrivate(v.Keys[m.To])
		if err != nil {
			t.Fatal(err)
		}
		from, err := pgp.ParsePrivate(v.Keys[m.From])
		if err != nil {
			t.Fatal(err)
		}
		if text, err := pgp.Open(m.Message, to, from.Public(), time.Unix(v.Now, 0)); err != nil || string(text) != `{"operation":"op_1"}` {
			t.Errorf("from %s: %q, %v", m.From, text, err)
		}
	}
}
