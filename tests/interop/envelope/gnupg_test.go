// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

// gnupg runs gpg with a home of its own.
type gnupg struct {
	tb   testing.TB
	home string
}

func newGnuPG(t *testing.T) gnupg {
	t.Helper()
	for _, tool := range []string{"gpg", "gpgconf"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	home, err := os.MkdirTemp("/tmp", "gnupg-") // its sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // it started them by itself
		_ = os.RemoveAll(home)
	})
	return gnupg{tb: t, home: home}
}

// run returns what gpg writes and what it reports.
func (g gnupg) run(in []byte, arguments ...string) (out []byte, status string) {
	g.tb.Helper()
	c := exec.CommandContext(g.tb.Context(), "gpg", append([]string{"--homedir", g.home, "--batch", "--yes", "--trust-model", "always", "--status-fd", "2"}, arguments...)...)
	var said bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(in), &said
	out, err := c.Output()
	if err != nil {
		g.tb.Fatalf("gpg %v: %v\n%s", arguments, err, said.Bytes())
	}
	return out, said.String()
}

// An organisation that has used GnuPG until now goes on with it: its keys are taken, and both sides read one another.
func TestGnuPG(t *testing.T) {
	t.Parallel()
	g := newGnuPG(t)
	_, status := g.run(nil, "--passphrase", "", "--quick-gen-key", "phone", "ed25519", "sign", "never")
	_, fingerprint, found := strings.Cut(status, "KEY_CREATED P ")
	if !found {
		t.Fatalf("no key was made:\n%s", status)
	}
	fingerprint = strings.Fields(fingerprint)[0]
	g.run(nil, "--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr", "never")
	device, _ := g.run(nil, "--export", fingerprint)

	now := time.Now()
	private, public, err := pgp.Pair(device, now)
	if err != nil {
		t.Fatal(err)
	}
	g.run(public, "--import")
	channel, err := pgp.NewChannel(private, device)
	if err != nil {
		t.Fatal(err)
	}
	body, err := channel.Wrap(map[string]int{"wait": 30}, now)
	if err != nil {
		t.Fatal(err)
	}
	text, status := g.run(body.PGP, "--decrypt")
	if string(text) != `{"wait":30}` || !strings.Contains(status, "GOODSIG") || !strings.Contains(status, "DECRYPTION_OKAY") {
		t.Errorf("gpg reads %q:\n%s", text, status)
	}
	message, _ := g.run([]byte(`{"operations":[]}`), "--encrypt", "--sign", "--local-user", fingerprint, "--recipient", "gatehouse")
	own, err := pgp.ParsePrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := pgp.ParsePublic(device)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pgp.Open(message, own, theirs, now); err != nil || string(got) != `{"operations":[]}` {
		t.Errorf("we read %q, %v", got, err)
	}
	unsigned, _ := g.run([]byte(`{}`), "--encrypt", "--recipient", "gatehouse")
	if got, err := pgp.Open(unsigned, own, theirs, now); err == nil {
		t.Errorf("a message that is not signed: %q", got)
	}
}
