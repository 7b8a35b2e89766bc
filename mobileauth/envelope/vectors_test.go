// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew, with the same keys")

const (
	vectorFile = "testdata/vectors.json"
	keyFile    = "testdata/keys.json"
)

// vectors are messages of every kind, good and bad, for whoever writes the protocol in another language. Keys, times and
// identifiers are fixed; ephemeral keys, nonces and ECDSA signatures are not, and differ whenever the file is written anew.
type vectors struct {
	About        string                     `json:"about"`
	Now          int64                      `json:"now"`
	Issuer       string                     `json:"issuer"`
	Device       string                     `json:"device"`
	Keys         map[string]json.RawMessage `json:"keys"`
	ServerKeys   envelope.ServerKeys        `json:"server_keys"`
	KnownKeys    string                     `json:"known_keys"`
	Activation   []activationVector         `json:"activation"`
	Registration registrationVector         `json:"registration"`
	Invitations  []invitationVector         `json:"invitations"`
	Scans        []scanVector               `json:"scans"`
	Displays     []displayVector            `json:"displays"`
	Factors      []factorVector             `json:"factors"`
	Requests     []requestVector            `json:"requests"`
	Answers      []answerVector             `json:"answers"`
	Statements   []statementVector          `json:"statements"`
}

type activationVector struct {
	Typed  string `json:"typed"`
	Good   bool   `json:"good"`
	Code   string `json:"code,omitempty"`
	Lookup string `json:"lookup,omitempty"`
}

// registrationVector is everything that is computed in a registration.
type registrationVector struct {
	Code      string       `json:"code"`
	Lookup    string       `json:"lookup"`
	Operation string       `json:"operation"`
	Sign      string       `json:"sign"`
	Enc       string       `json:"enc"`
	ServerKey string       `json:"server_key"`
	RequestID string       `json:"jti"`
	MAC       envelope.MAC `json:"mac"`
	Digits    string       `json:"digits"`
	// Challenge and Bound are what evidence is made for.
	Challenge envelope.Bytes `json:"challenge"`
	Bound     envelope.Bytes `json:"bound"`
}

type invitationVector struct {
	Name      string `json:"name"`
	Text      string `json:"text"`
	Good      bool   `json:"good"`
	Issuer    string `json:"issuer,omitempty"`
	Operation string `json:"operation,omitempty"`
	Code      string `json:"code,omitempty"`
	Key       string `json:"key,omitempty"`
}

type scanVector struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	Good   bool   `json:"good"`
	Issuer string `json:"issuer,omitempty"`
	OTP    string `json:"otp,omitempty"`
}

type displayVector struct {
	Name      string         `json:"name"`
	Operation string         `json:"operation"`
	Display   envelope.Bytes `json:"display"`
	Good      bool           `json:"good"`
	Hash      string         `json:"hash"`
}

type factorVector struct {
	Statement string          `json:"statement"`
	Secret    envelope.Secret `json:"secret"`
	MAC       envelope.MAC    `json:"mac"`
	Good      bool            `json:"good"`
}

// requestVector is a request as the server gets it at a path. A good one is of the device above, or a registration.
type requestVector struct {
	Name   string          `json:"name"`
	Path   string          `json:"path"`
	Raw    string          `json:"raw"`
	Good   bool            `json:"good"`
	Reason envelope.Reason `json:"reason,omitempty"`
	ID     string          `json:"jti,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// answerVector is an answer as a device gets it that sent a request with this ID, and trusts the server keys above.
type answerVector struct {
	Name      string          `json:"name"`
	RequestID string          `json:"irt"`
	Raw       string          `json:"raw"`
	Good      bool            `json:"good"`
	Reason    envelope.Reason `json:"reason,omitempty"`
	Code      envelope.Code   `json:"code,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
}

// statementVector is a statement as the server gets it, of the device above, for a purpose.
type statementVector struct {
	Name    string           `json:"name"`
	Purpose envelope.Purpose `json:"purpose"`
	Raw     string           `json:"raw"`
	Good    bool             `json:"good"`
	Reason  envelope.Reason  `json:"reason,omitempty"`
}

const about = "Messages of the device protocol, version 1: docs/device-protocol.md. The time is \"now\". Keys are for tests " +
	"only. Ephemeral keys, nonces and ECDSA signatures are random, so that a message that is made anew is not the same."

// keyNames are the private keys of the vectors: those for signatures first.
var keyNames = []string{"server_sign", "device_sign", "next_sign", "stranger_sign", "server_enc", "device_enc", "next_enc", "stranger_enc"}

const signKeys = 4

// fixedKeys returns the keys of the vectors. They are drawn once, when there is no file of them.
func fixedKeys(tb testing.TB) map[string]json.RawMessage {
	tb.Helper()
	keys := make(map[string]json.RawMessage)
	data, err := os.ReadFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) && *update {
		return drawKeys(tb)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &keys); err != nil {
		tb.Fatal(err)
	}
	return keys
}

func drawKeys(tb testing.TB) map[string]json.RawMessage {
	tb.Helper()
	keys := make(map[string]json.RawMessage)
	for i, name := range keyNames {
		var raw []byte
		var err error
		if i < signKeys {
			raw, err = jose.MarshalPrivate(phoneKey(tb))
		} else {
			var k jose.DecryptionKey
			if k, err = jose.GenerateDecryption(); err == nil {
				raw, err = jose.MarshalDecryption(k)
			}
		}
		if err != nil {
			tb.Fatal(err)
		}
		keys[name] = raw
	}
	write(tb, keyFile, keys)
	return keys
}

func write(tb testing.TB, file string, v any) {
	tb.Helper()
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// stage is the world of the vectors.
type stage struct {
	world
	keys     map[string]json.RawMessage
	sign     map[string]jose.PrivateKey
	enc      map[string]jose.DecryptionKey
	next     envelope.Keys
	stranger envelope.Keys
}

func newStage(tb testing.TB) stage {
	tb.Helper()
	s := stage{keys: fixedKeys(tb), sign: make(map[string]jose.PrivateKey), enc: make(map[string]jose.DecryptionKey)}
	var err error
	for i, name := range keyNames {
		if i < signKeys {
			s.sign[name], err = jose.ParsePrivate(s.keys[name])
		} else {
			s.enc[name], err = jose.ParseDecryption(s.keys[name])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	pair := func(name string) envelope.Keys {
		k, err := envelope.NewKeys(s.sign[name+"_sign"].Signer, s.enc[name+"_enc"].Key)
		if err != nil {
			tb.Fatal(err)
		}
		return k
	}
	s.world = world{phone: pair("device"), serverEnc: s.enc["server_enc"], serverKey: s.sign["server_sign"]}
	s.next, s.stranger = pair("next"), pair("stranger")
	s.known = envelope.ServerKeys{
		Sign: []envelope.SignKey{mustSignKey(tb, s.serverKey)}, Enc: []envelope.EncKey{mustEncKey(tb, s.serverEnc)},
	}
	return s
}

func mustEncode(tb testing.TB, v any) json.RawMessage {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// make makes all vectors.
func (s stage) make(tb testing.TB) vectors {
	tb.Helper()
	return vectors{
		About: about, Now: noon.Unix(), Issuer: issuer, Device: "dev_1", Keys: s.keys, ServerKeys: s.known, KnownKeys: s.known.Digest(),
		Activation: s.activation(), Registration: s.registration(tb), Invitations: s.invitations(tb), Scans: scans(), Displays: s.displays(tb),
		Factors: s.factors(tb), Requests: s.requests(tb), Answers: s.answers(tb), Statements: s.statements(tb),
	}
}

// TestVectors holds the committed vectors against the code, and the file against what the code would write.
func TestVectors(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	fresh := s.make(t)
	if *update {
		write(t, vectorFile, fresh)
	}
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	s.check(t, fresh)
	s.check(t, v)
	if diff := cmp.Diff(plain(t, fresh), plain(t, v)); diff != "" {
		t.Errorf("%s is not what the code writes; go test ./mobileauth/envelope -update\n%s", vectorFile, diff)
	}
}

// plain takes out what is random.
func plain(tb testing.TB, v vectors) any {
	tb.Helper()
	for i := range v.Requests {
		v.Requests[i].Raw = ""
		v.Requests[i].Body = nil // has statements in it
	}
	for i := range v.Answers {
		v.Answers[i].Raw = ""
	}
	for i := range v.Statements {
		v.Statements[i].Raw = ""
	}
	for i := range v.Factors {
		v.Factors[i].Statement, v.Factors[i].MAC = "", envelope.MAC{}
	}
	var out any
	if err := json.Unmarshal(mustEncode(tb, v), &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// check holds vectors against the code.
func (s stage) check(t *testing.T, v vectors) {
	t.Helper()
	s.checkPlain(t, v)
	for _, r := range v.Requests {
		request, err := s.openVector(r)
		if r.Good != (err == nil) || (err != nil && envelope.ReasonOf(err) != r.Reason) {
			t.Errorf("request %q: %v", r.Name, err)
		}
		if err == nil && (request.ID != r.ID || cmp.Diff(string(compacted(t, request.Body)), string(compacted(t, r.Body))) != "") {
			t.Errorf("request %q has %s", r.Name, request.Body)
		}
	}
	for _, a := range v.Answers {
		want := s.awaited(envelope.Request{Device: "dev_1", ID: a.RequestID})
		answer, err := envelope.OpenAnswer(a.Raw, want)
		if a.Good != (err == nil) || (err != nil && envelope.ReasonOf(err) != a.Reason) || answer.Code != a.Code {
			t.Errorf("answer %q: %v, %v", a.Name, answer, err)
		}
	}
	in := s.request(envelope.PathAnswer)
	for _, raw := range v.Statements {
		_, err := envelope.OpenStatement(raw.Raw, s.phone.Public().Sign, in, raw.Purpose, noon)
		if raw.Good != (err == nil) || (err != nil && envelope.ReasonOf(err) != raw.Reason) {
			t.Errorf("statement %q: %v", raw.Name, err)
		}
	}
}

func (s stage) openVector(r requestVector) (envelope.Request, error) {
	u, err := envelope.OpenRequest(r.Raw, s.expected(r.Path))
	if err != nil {
		return envelope.Request{}, err
	}
	if r.Path == envelope.PathRegistrations {
		request, _, err := u.Registration()
		return request, err
	}
	return u.Verify("dev_1", s.phone.Public().Sign)
}

func compacted(tb testing.TB, raw json.RawMessage) json.RawMessage {
	tb.Helper()
	if len(raw) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		tb.Fatal(err)
	}
	return mustEncode(tb, v)
}

// checkPlain checks what is not a message.
func (s stage) checkPlain(t *testing.T, v vectors) {
	t.Helper()
	for _, a := range v.Activation {
		c, err := envelope.ParseActivationCode(a.Typed)
		if a.Good != (err == nil) || (a.Good && (c.Text() != a.Code || c.Lookup() != a.Lookup)) {
			t.Errorf("code %q: %v", a.Typed, err)
		}
	}
	for _, i := range v.Invitations {
		got, err := envelope.ParseInvitation(i.Text)
		if i.Good != (err == nil) || (i.Good && (got.Issuer != i.Issuer || got.Operation != i.Operation || got.Code.Text() != i.Code || got.Key != i.Key)) {
			t.Errorf("invitation %q: %+v, %v", i.Name, got, err)
		}
	}
	for _, i := range v.Scans {
		got, err := envelope.ParseScan(i.Text)
		if i.Good != (err == nil) || i.Good && (got != envelope.Scan{Issuer: i.Issuer, OTP: i.OTP}) {
			t.Errorf("scan %q: %+v, %v", i.Name, got, err)
		}
	}
	for _, d := range v.Displays {
		_, err := envelope.ParseDisplay(d.Display, d.Operation)
		if d.Good != (err == nil) || envelope.DisplayHash(d.Display) != d.Hash {
			t.Errorf("display %q: %v", d.Name, err)
		}
	}
	for i, f := range v.Factors {
		statement, err := envelope.ReadStatement(f.Statement, s.phone.Public().Sign)
		if err != nil || statement.Proven(f.Secret, f.MAC) != f.Good {
			t.Errorf("factor %d: %v", i, err)
		}
	}
	r := v.Registration
	code, err := envelope.ParseActivationCode(r.Code)
	if err != nil || code.Lookup() != r.Lookup || code.MAC(s.phone.Public(), r.RequestID) != r.MAC ||
		envelope.Digits(r.Operation, s.phone.Public(), r.ServerKey, r.RequestID) != r.Digits {
		t.Errorf("registration: %+v, %v", r, err)
	}
	bound := envelope.AttestationHash(code.AttestationChallenge(), s.phone.Public())
	if !bytes.Equal(code.AttestationChallenge(), r.Challenge) || !bytes.Equal(bound[:], r.Bound) {
		t.Errorf("what evidence is made for: %x, %x", code.AttestationChallenge(), bound)
	}
}

// past and future are just outside the window.
var past, future = noon.Add(-envelope.Window - time.Second), noon.Add(envelope.Window + time.Second)
