// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const vectorFile = "../../../mobileauth/envelope/testdata/vectors.json"

// vectors is what of the file is needed here.
type vectors struct {
	Now         int64                      `json:"now"`
	Issuer      string                     `json:"issuer"`
	Device      string                     `json:"device"`
	Keys        map[string]json.RawMessage `json:"keys"`
	ServerKeys  envelope.ServerKeys        `json:"server_keys"`
	Activation  []json.RawMessage          `json:"activation"`
	Invitations []json.RawMessage          `json:"invitations"`
	Scans       []json.RawMessage          `json:"scans"`
	Displays    []json.RawMessage          `json:"displays"`
	Factors     []json.RawMessage          `json:"factors"`
	Requests    []json.RawMessage          `json:"requests"`
	Answers     []json.RawMessage          `json:"answers"`
	Statements  []json.RawMessage          `json:"statements"`
}

// count is how many checks there are: each display is checked twice, and there is one registration.
func (v vectors) count() int {
	return len(v.Activation) + len(v.Invitations) + len(v.Scans) + 2*len(v.Displays) + len(v.Factors) + len(v.Requests) + len(v.Answers) +
		len(v.Statements) + 1
}

// report is what the second implementation prints.
type report struct {
	Checked  int      `json:"checked"`
	Failures []string `json:"failures"`
	Made     struct {
		Requests []struct{ Path, Raw string }
		Answers  []struct {
			IRT, Raw string
			Code     envelope.Code
		}
	} `json:"made"`
}

// installed gets the libraries, once for all tests.
var installed = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("npm", "ci", "--no-audit", "--no-fund").CombinedOutput()
})

// install gets the libraries, or skips the test and says why it cannot.
func install(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	out, err := installed()
	if err == nil {
		return
	}
	for _, reason := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "network"} {
		if bytes.Contains(out, []byte(reason)) {
			t.Skipf("npm cannot be reached: %s", reason)
		}
	}
	t.Fatalf("npm ci: %v\n%s", err, out)
}

func TestSecondImplementation(t *testing.T) {
	t.Parallel()
	install(t)
	var v vectors
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	said := new(strings.Builder)
	c := exec.CommandContext(t.Context(), "node", "check.mjs", vectorFile)
	c.Stderr = said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, said)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		t.Error(f)
	}
	if r.Checked != v.count() || r.Checked < 100 {
		t.Errorf("%d of %d vectors were checked", r.Checked, v.count())
	}
	v.open(t, r)
}

// open opens what the second implementation said: requests to all eleven endpoints and answers with all five codes.
func (v vectors) open(t *testing.T, r report) {
	t.Helper()
	server, err := jose.ParseDecryption(v.Keys["server_enc"])
	if err != nil {
		t.Fatal(err)
	}
	device, err := jose.ParsePrivate(v.Keys["device_sign"])
	if err != nil {
		t.Fatal(err)
	}
	enc, err := jose.ParseDecryption(v.Keys["device_enc"])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := envelope.NewKeys(device.Signer, enc.Key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(v.Now, 0)
	for _, made := range r.Made.Requests {
		u, err := envelope.OpenRequest(made.Raw, envelope.Expected{
			Issuer: v.Issuer, Path: made.Path, Now: now, Key: func(kid string) (jose.DecryptionKey, bool) { return server, kid == server.KID },
		})
		if err == nil {
			err = v.read(u, made.Path, keys.Public(), now)
		}
		if err != nil {
			t.Errorf("%s: %v", made.Path, err)
		}
	}
	for _, made := range r.Made.Answers {
		a, err := envelope.OpenAnswer(made.Raw, envelope.Awaited{
			Issuer: v.Issuer, Device: v.Device, RequestID: made.IRT, Keys: []envelope.Keys{keys}, Server: v.ServerKeys,
		})
		if err != nil || a.Code != made.Code {
			t.Errorf("%s: %v, %v", made.Code, a, err)
		}
	}
	if len(r.Made.Requests) != 11 || len(r.Made.Answers) != 5 {
		t.Errorf("it made %d requests and %d answers", len(r.Made.Requests), len(r.Made.Answers))
	}
}

var purposes = map[string]envelope.Purpose{
	envelope.PathAnswer: envelope.PurposeApproval, envelope.PathFactor: envelope.PurposeFactor, envelope.PathKeys: envelope.PurposeKeys,
	envelope.PathTransfer: envelope.PurposeTransfer, envelope.PathDisconnect: envelope.PurposeDisconnect, envelope.PathRelease: envelope.PurposeDevice,
}

// read reads the body of a request and what is signed in it.
func (v vectors) read(u envelope.Unverified, path string, keys envelope.PublicKeys, now time.Time) error {
	if path == envelope.PathRegistrations {
		in, registration, err := u.Registration()
		if err != nil {
			return err
		}
		code, err := envelope.ParseActivationCode("GEZDG-NBVGY-3TQOJ-QYV5A")
		if err != nil || !code.Proves(registration, in) {
			return envelope.ErrRefused
		}
		return nil
	}
	in, err := u.Verify(v.Device, keys.Sign)
	if err != nil || purposes[path] == "" {
		return err
	}
	var body envelope.Stated
	if err := in.Decode(&body); err != nil {
		return err
	}
	statement, err := body.Open(keys.Sign, in, purposes[path], now)
	if err != nil {
		return err
	}
	secret := envelope.Secret(bytes.Repeat([]byte{2}, envelope.SecretLen))
	if mac, asked := body.Factors["pin"]; asked && !statement.Proven(secret, mac) {
		return envelope.ErrRefused
	}
	return nil
}
