// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Limits of a [Query].
const (
	UsualPage = 100
	MaxPage   = 1000
	// maxLooked is how many events one page looks at, so that a query that finds little takes neither long nor much.
	maxLooked = 20_000
)

// ErrQuery is wrapped by what [Trail.Query] returns for a query that is not well formed.
var ErrQuery = errors.New("audit query refused")

// Query chooses events. Empty fields choose all; the others must all fit.
type Query struct {
	// Since and Until bound the time: from the first on, before the second.
	Since, Until time.Time
	// Name is that of the event, or its beginning before a "*": "login.*".
	Name      string
	Outcome   string
	Subject   string
	DeviceID  string
	Operation string
	ClientID  string
	By        string
	Object    string
	// After is the Next of the page before.
	After string
	// Limit is how many events a page has at most. Default: [UsualPage]; more than [MaxPage] is MaxPage.
	Limit int
}

// Page is a part of what a query chooses, oldest first.
type Page struct {
	Events []Event `json:"events"`
	// Next is where the page after this one begins; empty at the end. A page may be short, or empty, and not be the last.
	Next string `json:"next,omitempty"`
}

func (q *Query) check() error {
	if strings.Contains(strings.TrimSuffix(q.Name, "*"), "*") {
		return fmt.Errorf("a name may only end in a *: %w", ErrQuery)
	}
	for _, value := range []string{q.Subject, q.DeviceID, q.Operation, q.ClientID, q.After} {
		if len(value) > maxIndexed {
			return fmt.Errorf("an id of %d bytes: %w", len(value), ErrQuery)
		}
	}
	if !q.Since.IsZero() && q.Since.Before(time.UnixMilli(0)) {
		return fmt.Errorf("a time before 1970: %w", ErrQuery)
	}
	return nil
}

// Query returns a page of events or [ErrQuery].
func (t *Trail) Query(ctx context.Context, q Query) (page Page, err error) {
	if err := q.check(); err != nil {
		return page, err
	}
	if q.Limit <= 0 {
		q.Limit = UsualPage
	}
	q.Limit = min(q.Limit, MaxPage)
	err = t.db.View(ctx, func(tx storage.Tx) error {
		page, err = t.page(tx, &q)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("looking for audit events: %w", err)
	}
	return page, nil
}

func (t *Trail) page(tx storage.Tx, q *Query) (Page, error) {
	page := Page{Events: []Event{}}
	looked, last := 0, ""
	for e, err := range t.rows(tx, q) {
		switch {
		case err != nil:
			return Page{}, err
		case !q.Until.IsZero() && !e.Time.Before(q.Until):
			return page, nil
		case len(page.Events) >= q.Limit || looked >= maxLooked:
			page.Next = last
			return page, nil
		}
		looked, last = looked+1, e.ID
		if q.fits(&e) {
			page.Events = append(page.Events, e)
		}
	}
	return page, nil
}

// rows yields the events of the narrowest index that the query names, from its beginning on.
func (t *Trail) rows(tx storage.Tx, q *Query) iter.Seq2[Event, error] {
	after := q.After
	if since := eventID(q.Since); !q.Since.IsZero() && since > after {
		after = since
	}
	for _, by := range [...]struct{ index, value string }{
		{byOperation, q.Operation}, {byDevice, q.DeviceID}, {bySubject, q.Subject}, {byClient, q.ClientID},
	} {
		if by.value != "" {
			return t.events.List(tx, by.index, by.value, after, 0)
		}
	}
	return t.events.All(tx, after, 0)
}

func (q *Query) fits(e *Event) bool {
	for _, pair := range [...]struct{ want, got string }{
		{q.Outcome, e.Outcome}, {q.Subject, e.Subject}, {q.DeviceID, e.DeviceID}, {q.Operation, e.Operation},
		{q.ClientID, e.ClientID}, {q.By, e.By}, {q.Object, e.Object},
	} {
		if pair.want != "" && pair.want != pair.got {
			return false
		}
	}
	if begin, wild := strings.CutSuffix(q.Name, "*"); wild {
		return strings.HasPrefix(e.Name, begin)
	}
	return q.Name == "" || q.Name == e.Name
}

// Export writes every event that a query chooses as a line of JSON (NDJSON), oldest first, and returns how many they were. Limit
// is of no account. It holds one page in memory and no transaction while it writes.
func (t *Trail) Export(ctx context.Context, q Query, w io.Writer) (n int, err error) {
	q.Limit = MaxPage
	encoder := json.NewEncoder(w)
	for {
		page, err := t.Query(ctx, q)
		if err != nil {
			return n, err
		}
		for i := range page.Events {
			if err := encoder.Encode(&page.Events[i]); err != nil {
				return n, fmt.Errorf("writing audit events: %w", err)
			}
			n++
		}
		if page.Next == "" {
			return n, nil
		}
		q.After = page.Next
	}
}
