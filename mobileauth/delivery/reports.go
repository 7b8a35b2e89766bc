// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/storage"
)

// KeepReports is how long it is known which message an id of a gateway means. What a carrier says later changes nothing.
const KeepReports = 24 * time.Hour

// ReportedUnknown is the outcome of a report of a message that is not known: one of a test, or one that went out too long ago. It changes
// nothing.
const ReportedUnknown Outcome = "reported_unknown"

// ReportsConfig is what [Reports] needs. All but Observe is required.
type ReportsConfig struct {
	DB         storage.DB
	Operations Operations
	Audit      Audit
	Observe    func(o Observation)
	Now        func() time.Time
}

// Reports knows which messages gateways have taken, and takes what they say became of them. A report is a fact about a message
// that went out, and only goes forward: one that comes late, twice, or from somebody who repeats an old one changes nothing.
type Reports struct {
	config ReportsConfig
	table  storage.Table[taken]
}

// taken is a message that a gateway took.
type taken struct {
	// Key is made of the gateway's name and its id of the message.
	Key       string    `json:"key"`
	Operation string    `json:"operation"`
	State     sms.State `json:"state,omitempty"`
	At        time.Time `json:"at"`
}

// NewReports returns the reports of a store.
func NewReports(c ReportsConfig) *Reports {
	if c.Observe == nil {
		c.Observe = func(Observation) {}
	}
	return &Reports{config: c, table: storage.Table[taken]{
		Name: "smsreport", Version: 1,
		ID:     func(t *taken) string { return t.Key },
		Expiry: func(t *taken) time.Time { return t.At.Add(KeepReports) },
	}}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind { return []storage.Kind{&NewReports(ReportsConfig{}).table} }

func takenKey(gateway, id string) string {
	sum := sha256.Sum256([]byte(gateway + "\n" + id))
	return hex.EncodeToString(sum[:])
}

// Accepted notes a message that a gateway took. One that it has no id for is not noted.
func (r *Reports) Accepted(ctx context.Context, a Accepted) error {
	if a.ID == "" {
		return nil
	}
	record := taken{Key: takenKey(a.Gateway, a.ID), Operation: a.Operation.ID, At: a.At}
	err := r.config.DB.Update(ctx, func(tx storage.Tx) error {
		// A gateway that uses an id twice means the first.
		if _, found, err := r.table.Find(tx, record.Key); found || err != nil {
			return err
		}
		return r.table.Put(tx, record)
	})
	if err != nil {
		return fmt.Errorf("noting a message of the gateway %q: %w", a.Gateway, err)
	}
	return nil
}

// Told takes a report of a gateway. A message that it knows nothing of is sms.ErrUnknown, and observed as [ReportedUnknown]. A number that takes no messages ends
// the operation that waits for a code there.
func (r *Reports) Told(ctx context.Context, gateway string, report sms.Report) error {
	var known taken
	news := false
	now := r.config.Now()
	err := r.config.DB.Update(ctx, func(tx storage.Tx) (err error) {
		news = false
		if known, err = r.table.Get(tx, takenKey(gateway, report.ID)); err != nil {
			return err
		}
		if news = report.State.Supersedes(known.State); !news {
			return nil
		}
		known.State = report.State
		return r.table.Put(tx, known)
	})
	if errors.Is(err, storage.ErrNotFound) {
		r.config.Observe(Observation{Channel: operation.BySMS, Service: gateway, Outcome: ReportedUnknown})
		return sms.ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("a report of the gateway %q: %w", gateway, err)
	}
	if !news {
		return nil
	}
	r.config.Observe(Observation{
		Channel: operation.BySMS, Service: gateway, Outcome: Outcome("reported_" + report.State), Age: now.Sub(known.At),
	})
	if report.State != sms.Failed {
		return nil
	}
	return r.failed(ctx, gateway, known.Operation, report)
}

func (r *Reports) failed(ctx context.Context, gateway, id string, report sms.Report) error {
	o, err := r.config.Operations.Get(ctx, id)
	if errors.Is(err, operation.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.config.Audit.Record(ctx, failure(&o, operation.BySMS, gateway, because("reported_"+string(report.Class), report.Reason))); err != nil {
		return err
	}
	if report.Class != sms.Number {
		return nil // the person may have it all the same
	}
	_, err = r.config.Operations.NotSent(ctx, id, operation.BySMS)
	return err
}
