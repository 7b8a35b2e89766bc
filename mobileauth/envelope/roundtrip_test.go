// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func isRefusal(err error) bool { return errors.Is(err, envelope.ErrRefused) }

func TestRequestAndAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := w.request(envelope.PathPending)
	got, err := w.open(w.seal(t, sent, envelope.PendingRequest{Wait: 30}), envelope.PathPending)
	if err != nil {
		t.Fatal(err)
	}
	want := sent
	want.Body = json.RawMessage(`{"wait":30}`)
	want.SigningKey, want.ServerKey = w.phone.Public().Sign.ID(), w.serverEnc.KID
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var body envelope.PendingRequest
	if err := got.Decode(&body); err != nil || body.Wait != 30 {
		t.Errorf("Decode = %+v, %v", body, err)
	}

	reply := got.Reply(noon.Add(time.Second), w.known)
	raw, err := envelope.SealAnswer(reply, envelope.PendingAnswer{Operations: []envelope.Summary{{Operation: "op_1"}}}, w.serverKey, w.phone.Public().Enc)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := envelope.OpenAnswer(raw, w.awaited(sent))
	if err != nil {
		t.Fatal(err)
	}
	var list envelope.PendingAnswer
	if err := answer.Decode(&list); err != nil || len(list.Operations) != 1 || list.Operations[0].Operation != "op_1" {
		t.Errorf("Decode = %+v, %v", list, err)
	}
	if answer.Code != envelope.CodeOK || !answer.At.Equal(noon.Add(time.Second)) || answer.ID != reply.ID || answer.ServerKeys != nil {
		t.Errorf("the answer is %+v", answer)
	}
}

func (w world) awaited(r envelope.Request) envelope.Awaited {
	return envelope.Awaited{
		Issuer: issuer, Device: r.Device, RequestID: r.ID, Keys: []envelope.Keys{w.phone}, Server: w.known,
	}
}

func TestStatementIsProvenByItsSecretOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret, err := envelope.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	s, err := envelope.SignStatement(envelope.Statement{
		Device: "dev_1", Audience: issuer, ID: envelope.NewID(), At: noon, Purpose: envelope.PurposeApproval,
		Operation: "op_1", DisplayHash: envelope.DisplayHash([]byte(`{}`)), Decision: envelope.Approve, Number: "42", Method: "pin",
	}, w.phone)
	if err != nil {
		t.Fatal(err)
	}
	read, err := envelope.ReadStatement(s.Raw(), w.phone.Public().Sign)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, read, cmp.AllowUnexported(envelope.Statement{})); diff != "" {
		t.Error(diff)
	}
	other := secret
	other[0] ^= 1
	if !read.Proven(secret, s.MAC(secret)) || read.Proven(other, s.MAC(secret)) || read.Proven(secret, envelope.MAC{}) {
		t.Error("the MAC does not tell secrets apart")
	}
	if (envelope.Statement{}).Proven(secret, (envelope.Statement{}).MAC(secret)) || s.Proven(envelope.Secret{}, s.MAC(envelope.Secret{})) {
		t.Error("nothing proves something")
	}
}

func TestRegistrationProvesTheCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, err := envelope.NewActivationCode()
	if err != nil {
		t.Fatal(err)
	}
	r := w.request(envelope.PathRegistrations)
	r.Device, r.KnownKeys = w.phone.Public().Sign.ID(), ""
	body := envelope.Registration{
		Lookup: code.Lookup(), MAC: code.MAC(w.phone.Public(), r.ID), Keys: w.phone.Public(),
		Application: "bank", Version: "2.0.1", Platform: "android",
	}
	u, err := envelope.OpenRequest(w.seal(t, r, body), w.expected(envelope.PathRegistrations))
	if err != nil {
		t.Fatal(err)
	}
	request, got, err := u.Registration()
	if err != nil {
		t.Fatal(err)
	}
	other, err := envelope.NewActivationCode()
	if err != nil {
		t.Fatal(err)
	}
	if !code.Proves(got, request) || other.Proves(got, request) {
		t.Error("the code is not told from others")
	}
	if a, b := envelope.Digits("op_1", got.Keys, request.ServerKey, request.ID), envelope.Digits("op_1", w.phone.Public(), w.serverEnc.KID, r.ID); a != b || len(a) != 6 {
		t.Errorf("the server shows %q, the phone %q", a, b)
	}
}

// A phone that was away while the server's keys changed learns the new ones from the next answer.
func TestAnswerAnnouncesKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fresh, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	now := envelope.ServerKeys{Sign: []envelope.SignKey{mustSignKey(t, fresh)}, Enc: w.known.Enc}
	r := w.request(envelope.PathDevice)
	opened, err := w.open(w.seal(t, r, nil), envelope.PathDevice)
	if err != nil {
		t.Fatal(err)
	}
	reply := opened.Reply(noon, now)
	raw, err := envelope.SealAnswer(reply, nil, fresh, w.phone.Public().Enc)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := envelope.OpenAnswer(raw, w.awaited(r))
	if err != nil || answer.ServerKeys == nil || answer.ServerKeys.Digest() != now.Digest() {
		t.Fatalf("the answer is %+v, %v", answer, err)
	}
	reply.ServerKeys = nil
	if raw, err = envelope.SealAnswer(reply, nil, fresh, w.phone.Public().Enc); err != nil {
		t.Fatal(err)
	}
	_, err = envelope.OpenAnswer(raw, w.awaited(r))
	mustRefuse(t, err, envelope.ReasonSigningKey)
}
