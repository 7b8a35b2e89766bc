// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt/issuing"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// keysOfServer are what receipts are made with.
func keysOfServer(t testing.TB) (receipt.Roots, *issuing.Issuer) {
	t.Helper()
	root, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	signer, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	issuer, err := issuing.New(issuing.Config{
		Issuer:      issuer,
		Root:        func() (jose.PrivateKey, error) { return root, nil },
		Signer:      func() (jose.PrivateKey, error) { return signer, nil },
		ExternalRef: func(context.Context, string) (string, error) { return strings.Repeat("r", 256), nil },
	})
	must(t, err)
	return receipt.Roots{root.KID: true}, issuer
}

// TestReceipt: what was approved has evidence in the same transaction, and only that.
func TestReceipt(t *testing.T) {
	t.Parallel()
	for i, engine := range engines.All {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			roots, issuer := keysOfServer(t)
			w := newWorld(t, i, func(c *operation.Config) { c.Receipts = issuer })
			p := w.phone("usr_1")
			for _, kind := range []operation.Kind{operation.Authorisation, operation.Signature} {
				o := w.ask("usr_1", digits(2), func(s *operation.Start) { s.Kind, s.ExternalID = kind, "order 7" })
				if out := p.approve(o, wrongPIN); out.Code != operation.Refused || w.get(o.ID).Receipt != "" {
					t.Fatalf("a wrong PIN: %+v", out)
				}
				expect(t, p.approve(o), operation.Accepted, "")
				o = w.get(o.ID)
				r, err := receipt.Verify([]byte(o.Receipt), roots)
				must(t, err)
				if r.Operation != o.ID || r.Kind != string(kind) || r.UserID != "usr_1" || r.DeviceID != p.id || r.Method != "pin" ||
					r.Assurance != receipt.TwoFactor || string(r.Display) != string(o.Display) || r.Statement != o.Statement ||
					r.ClientID != "portal" || r.ExternalID != "order 7" || !r.Answered.Equal(o.AnsweredAt.Truncate(time.Second)) ||
					r.Key.ID() != p.keys.Public().Sign.ID() {
					t.Errorf("receipt: %+v", r)
				}
			}
			for name, o := range map[string]operation.Operation{
				"an authentication": w.ask("usr_1", login), "a denial": w.ask("usr_1"),
			} {
				a := p.approval(o)
				if name == "a denial" {
					a = p.denial(o, envelope.Denied)
				}
				w.answer(a)
				if w.get(o.ID).Receipt != "" {
					t.Errorf("%s has a receipt", name)
				}
			}
		})
	}
}

// TestLargestReceipt: whatever may be started can be approved.
func TestLargestReceipt(t *testing.T) {
	t.Parallel()
	roots, issuer := keysOfServer(t)
	w := newWorld(t, 0, func(c *operation.Config) { c.Receipts = issuer })
	p := w.phone("usr_1")
	for _, content := range []string{strings.Repeat("x", 4000), strings.Repeat("漢", 1333), strings.Repeat("\"", 1100), strings.Repeat("a\n", 1000) + "a"} {
		start := question("usr_1", func(s *operation.Start) {
			s.Kind, s.ExternalID, s.ClientID = operation.Signature, strings.Repeat("e", 256), strings.Repeat("c", 256)
			s.Context.Content = content
			for len(s.Context.Fields) < 20 {
				s.Context.Fields = append(s.Context.Fields, operation.Field{Type: "text", Label: strings.Repeat("l", 20), Value: strings.Repeat("v", 20)})
			}
		})
		// As large as it may be.
		for size := 20; ; size++ {
			bigger := start
			bigger.Context.Fields = append([]operation.Field{}, start.Context.Fields...)
			for i := range bigger.Context.Fields {
				bigger.Context.Fields[i].Value = strings.Repeat("v", size)
			}
			if _, err := w.Prepare(t.Context(), bigger); err != nil {
				break
			}
			start = bigger
		}
		o, _, err := w.Start(t.Context(), start)
		must(t, err)
		if len(o.Display) < 4500 {
			t.Errorf("not as large as it may be: %d bytes", len(o.Display))
		}
		expect(t, p.approve(o), operation.Accepted, "")
		if _, err := receipt.Verify([]byte(w.get(o.ID).Receipt), roots); err != nil {
			t.Errorf("%d bytes: %v", len(w.get(o.ID).Receipt), err)
		}
	}
}

// slow makes receipts while something else happens to the operation.
type slow struct {
	operation.Receipts
	meanwhile func()
}

func (s *slow) Make(ctx context.Context, o operation.Operation, d handset.Device) (string, error) {
	if s.meanwhile != nil {
		s.meanwhile()
	}
	return s.Receipts.Make(ctx, o, d)
}

// TestReceiptOfWhatChanged: an operation that changes while its receipt is made has another made, or none.
func TestReceiptOfWhatChanged(t *testing.T) {
	t.Parallel()
	roots, issuer := keysOfServer(t)
	s := &slow{Receipts: issuer}
	w := newWorld(t, 0, func(c *operation.Config) { c.Receipts = s })
	p := w.phone("usr_1")
	o := w.ask("usr_1")
	s.meanwhile = func() {
		if _, err := w.Deliver(t.Context(), o.ID, p.id); err != nil {
			t.Error(err)
		}
	}
	expect(t, p.approve(o), operation.Accepted, "")
	if got := w.get(o.ID); got.State != operation.Approved || got.DeliveredAt.IsZero() {
		t.Errorf("fetched meanwhile: %+v", got)
	}
	if _, err := receipt.Verify([]byte(w.get(o.ID).Receipt), roots); err != nil {
		t.Error(err)
	}
	o = w.ask("usr_1")
	s.meanwhile = func() {
		if _, err := w.Cancel(t.Context(), o.ID, ""); err != nil {
			t.Error(err)
		}
	}
	expect(t, p.approve(o), operation.Gone, "is_cancelled")
	if w.get(o.ID).Receipt != "" {
		t.Error("what was cancelled has a receipt")
	}
}

type broken struct{}

func (broken) Make(context.Context, operation.Operation, handset.Device) (string, error) {
	return "", errDown
}

// TestNoApprovalWithoutReceipt: where evidence is due and cannot be made, nothing is approved.
func TestNoApprovalWithoutReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(c *operation.Config) { c.Receipts = broken{} })
	p := w.phone("usr_1")
	o := w.ask("usr_1")
	if _, err := w.Answer(t.Context(), p.approval(o)); !errors.Is(err, errDown) {
		t.Errorf("answering: %v", err)
	}
	if got := w.get(o.ID); got.State != operation.Pending {
		t.Errorf("it is %s", got.State)
	}
	expect(t, w.answer(p.denial(o, envelope.Denied)), operation.Accepted, "denied")
	expect(t, p.approve(w.ask("usr_1", login)), operation.Accepted, "")
}
